"""Limit ranges: what a namespace fills into new pods, and between what bounds they must stay.

Source: ``plugin/pkg/admission/limitranger``.
"""

import decimal
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wherry.apiserver.strategy import Context
from wherry.objects import errors, kinds, quantities
from wherry.objects.requests import Object

_ANNOTATION = "kubernetes.io/limit-ranger"

Amounts = Mapping[str, Any]


def admit_pod(pod: Object, context: Context) -> None:
    """Fill in the namespace's defaults, in place, and hold the pod to the bounds.

    Raises:
        ForbiddenError: It is outside of them; the message has every bound that is broken.
    """
    items = list(_items(pod, context))
    if not items:
        return
    spec = pod["spec"]
    init, main = spec.get("initContainers") or [], spec.get("containers") or []
    filled = [text for c in (*init, *main) for text in _fill(c, items, is_init=c in init)]
    if filled:
        annotations = pod["metadata"]["annotations"] = pod["metadata"].get("annotations") or {}
        annotations[_ANNOTATION] = f"LimitRanger plugin set: {'; '.join(filled)}"
    broken: list[str] = []
    for item in items:
        if item.get("type") == "Container":
            for container in (*init, *main):
                resources = container.get("resources") or {}
                broken += _broken(item, resources.get("requests"), resources.get("limits"))
        elif item.get("type") == "Pod":
            broken += _broken(item, _sum(main, init, "requests"), _sum(main, init, "limits"))
    _refuse("pods", pod, broken)


def admit_claim(claim: Object, context: Context) -> None:
    """Hold a claim to the bounds of its namespace.

    Raises:
        ForbiddenError: It is outside of them.
    """
    requests = (claim["spec"].get("resources") or {}).get("requests")
    broken: list[str] = []
    for item in _items(claim, context):
        if item.get("type") == "PersistentVolumeClaim":
            # A claim has no limit: what it asks for is all it gets.
            broken += _broken(item, requests, requests)
    _refuse("persistentvolumeclaims", claim, broken)


def _items(obj: Object, context: Context) -> Iterator[dict[str, Any]]:
    namespace = obj["metadata"].get("namespace", "")
    for one in context.lookup.list(kinds.LIMIT_RANGES, namespace):
        yield from (one.get("spec") or {}).get("limits") or ()


def _fill(container: dict[str, Any], items: list[dict[str, Any]], *, is_init: bool) -> list[str]:
    resources = container["resources"] = container.get("resources") or {}
    filled = []
    for item in items:
        if item.get("type") != "Container":
            continue
        for part, source, word in (
            ("requests", "defaultRequest", "request"),
            ("limits", "default", "limit"),
        ):
            values = item.get(source) or {}
            missing = [name for name in values if name not in (resources.get(part) or {})]
            if missing:
                resources[part] = {**(resources.get(part) or {}), **{n: values[n] for n in missing}}
                kind = "init container" if is_init else "container"
                filled.append(f"{', '.join(missing)} {word} for {kind} {container['name']}")
    return filled


def _total(containers: Iterable[dict[str, Any]], part: str) -> dict[str, decimal.Decimal]:
    total: dict[str, decimal.Decimal] = {}
    for container in containers:
        for name, amount in ((container.get("resources") or {}).get(part) or {}).items():
            total[name] = total.get(name, decimal.Decimal(0)) + _parsed(amount)
    return total


def _sum(main: list[dict[str, Any]], init: list[dict[str, Any]], part: str) -> Amounts:
    """Return what a pod needs: its containers together, or its neediest init container."""
    sidecars = [one for one in init if one.get("restartPolicy") == "Always"]
    needed = _total([*main, *sidecars], part)
    for one in init:
        for name, amount in _total([one], part).items():
            needed[name] = max(needed.get(name, decimal.Decimal(0)), amount)
    return needed


def _parsed(amount: Any) -> decimal.Decimal:
    try:
        return quantities.parse(amount)
    except ValueError:
        # What is no quantity is said by the rules of pods, which name the field.
        return decimal.Decimal(0)


def _shown(amount: Any) -> str:
    return quantities.format(amount) if isinstance(amount, decimal.Decimal) else str(amount)


def _broken(item: dict[str, Any], requests: Amounts | None, limits: Amounts | None) -> list[str]:
    kind = item["type"]
    have = {"request": requests or {}, "limit": limits or {}}
    found: list[str] = []
    for bound, word, first, second in (
        ("min", "minimum", "request", "limit"),
        ("max", "maximum", "limit", "request"),
    ):
        for name, enforced in (item.get(bound) or {}).items():
            text = f"{word} {name} usage per {kind} is {enforced}"
            if name not in have[first]:
                found.append(f"{text}.  No {first} is specified")
                continue
            wrong = [p for p in (first, second) if _outside(bound, have[p].get(name), enforced)]
            if wrong:
                found.append(f"{text}, but {wrong[0]} is {_shown(have[wrong[0]][name])}")
    for name, ratio in (item.get("maxLimitRequestRatio") or {}).items():
        request, limit = (_parsed(have[part].get(name, 0)) for part in ("request", "limit"))
        if not request or limit / request > _parsed(ratio):
            provided = f"{limit / request:.6f}" if request else "unlimited"
            text = f"{name} max limit to request ratio per {kind} is {ratio}"
            found.append(f"{text}, but provided ratio is {provided}")
    return found


def _outside(bound: str, amount: Any, enforced: Any) -> bool:
    if amount is None:
        return False
    if bound == "min":
        return _parsed(amount) < _parsed(enforced)
    return _parsed(amount) > _parsed(enforced)


def _refuse(plural: str, obj: Object, broken: list[str]) -> None:
    if broken:
        why = broken[0] if len(broken) == 1 else f"[{', '.join(broken)}]"
        raise errors.forbidden(plural, obj["metadata"].get("name", ""), why)

"""Resource lists (``cpu: 500m``): canonical text, and the rules about their amounts.

Source: ``SetDefaults_ResourceList`` and ``ValidateResourceRequirements`` of ``pkg/apis/core``.
"""

import functools
from collections.abc import Mapping
from typing import Any

from wherry.apiserver.strategies import causes
from wherry.objects import names, quantities
from wherry.objects.errors import Cause

_PLAIN = frozenset({"cpu", "memory", "ephemeral-storage"})


@functools.lru_cache(maxsize=4096)
def canonical(amount: str | int | float) -> str | int | float:
    """Return an amount as Kubernetes prints it; one that is no quantity as it is.

    What is wrong is said by `check`, which names the field.
    """
    try:
        return quantities.canonical(amount)
    except ValueError:
        return amount


def canonicalize(resources: dict[str, Any] | None) -> None:
    """Write each amount of a resource list in canonical form, in place."""
    if resources:
        for name, amount in resources.items():
            resources[name] = canonical(amount)


def default_requests(resources: dict[str, Any]) -> None:
    """Request what is limited and not requested, in place."""
    limits = resources.get("limits")
    if limits:
        requests = resources["requests"] = resources.get("requests") or {}
        for name, amount in limits.items():
            requests.setdefault(name, amount)


@functools.lru_cache(maxsize=4096)
def _refusal(amount: str | int | float) -> str:
    try:
        value = quantities.parse(amount)
    except ValueError as error:
        return str(error)
    return "must be greater than or equal to 0" if value < 0 else ""


@functools.lru_cache(maxsize=1024)
def _name_problems(name: str) -> tuple[str, ...]:
    if name in _PLAIN or name.startswith("hugepages-"):
        return ()
    found = tuple(names.label_key(name))
    if not found and "/" not in name:
        return ("must be a standard resource for containers or fully qualified",)
    return found


def check(path: str, resources: Mapping[str, Any] | None) -> list[Cause]:
    """Check that each amount of a resource list is a quantity and not negative."""
    found = []
    for name, amount in (resources or {}).items():
        if why := _refusal(amount):
            found.append(causes.invalid(f"{path}[{name}]", amount, why))
    return found


def check_requirements(path: str, resources: Mapping[str, Any] | None) -> list[Cause]:
    """Check a container's ``resources``: names, amounts, and that no request exceeds its limit."""
    if not resources:
        return []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    found = [*check(f"{path}.limits", limits), *check(f"{path}.requests", requests)]
    for part, amounts in (("limits", limits), ("requests", requests)):
        for name in amounts:
            found += causes.problems(f"{path}.{part}[{name}]", name, _name_problems(name))
    return found or _check_order(path, limits, requests)


def _check_order(path: str, limits: Mapping[str, Any], requests: Mapping[str, Any]) -> list[Cause]:
    found = []
    for name, amount in requests.items():
        where = f"{path}.requests"
        limit = limits.get(name)
        if limit is None or limit == amount:
            continue
        if quantities.parse(amount) > quantities.parse(limit):
            text = f"must be less than or equal to {name} limit of {limit}"
            found.append(causes.invalid(where, amount, text))
        elif name not in _PLAIN:
            found.append(causes.invalid(where, amount, f"must be equal to {name} limit of {limit}"))
    return found


def is_zero(amount: str | int | float) -> bool:
    """Return whether a quantity, known to be one, is nothing."""
    return quantities.parse(amount) == 0


def exceeds(amount: str | int | float, limit: str | int | float) -> bool:
    """Return whether one quantity is more than another; both are known to be quantities."""
    return quantities.parse(amount) > quantities.parse(limit)

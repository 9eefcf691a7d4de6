"""What a pod or a gang waits for, in words: conditions, events and `wherry why` show them. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from wherry.builtin.gangs import units
from wherry.builtin.gangs.fitting import Fit, Site
from wherry.builtin.gangs.membership import key_of
from wherry.builtin.gangs.queues import Ledger, Queue
from wherry.builtin.gangs.units import Pods, Unit
from wherry.objects import metadata
from wherry.objects.requests import Object

_KIB: Final = 1024
_BYTES: Final = ("memory", "ephemeral-storage")
_MOST_HOLDERS: Final = 3


def amount(name: str, value: int) -> str:
    """Return an amount as people write it.

    Args:
        name: The resource.
        value: Milli-CPUs for ``cpu``, whole units for all others.
    """
    if name == "cpu":
        return f"{value / 1000:g}"
    if name not in _BYTES and not name.startswith("hugepages-"):
        return str(value)
    size = float(value)
    for unit in ("", "Ki", "Mi"):
        if abs(size) < _KIB:
            return f"{size:.4g}{unit}"
        size /= _KIB
    return f"{size:.4g}Gi"


def too_little(unit: Unit, fit: Fit, site: Site, pods: Pods) -> str:
    """Return why a gang does not fit.

    Args:
        unit: The gang.
        fit: What came of placing it.
        site: The nodes as they are.
        pods: What is known of pods.
    """
    asked = Counter(units.total(unit.members[: unit.needed]))
    least = unit.group.min_resources if unit.group else {}
    for name, value in least.items():
        have = sum(pods.demand(pod).amounts.get(name, 0) for pod in unit.held)
        asked[name] = max(asked[name], value - have)
    short = [name for name in sorted(asked) if asked[name] > site.free(name)]
    if not short:
        reasons = sorted({reason for _, reason in fit.refused if reason})
        return reasons[0] if reasons else "its pods do not fit together"
    return "; ".join(_held(unit, name, asked[name], site=site, pods=pods) for name in short)


def _held(unit: Unit, name: str, asked: int, *, site: Site, pods: Pods) -> str:
    more = " more" if unit.held else ""
    told = (
        f"needs {amount(name, asked)}{more} {name} in all, {amount(name, site.free(name))} are free"
    )
    holders: Counter[str] = Counter()
    for room in site.rooms:
        for pod in room.occupants.values():
            key = key_of(pod)
            named = key is not None and key in pods.groups
            shown = f"{key.namespace}/{key.name}" if key and named else _shown(pod)
            wanted = pods.demand(pod).counted.get(name, 0)
            if wanted and not (unit.group and key == unit.group.key):
                holders[shown] += wanted
    listed = [
        f"{amount(name, value)} are held by {shown}"
        for shown, value in holders.most_common(_MOST_HOLDERS)
    ]
    if len(holders) > _MOST_HOLDERS:
        listed.append(f"the rest by {len(holders) - _MOST_HOLDERS} others")
    return ", ".join([told, *listed])


def _shown(pod: Object) -> str:
    return "/".join(metadata.namespaced_name(pod))


def beyond(queue: Queue, name: str, ledger: Ledger) -> str:
    """Return that a queue may not have more of a resource."""
    return (
        f"queue {queue.shown} may have {amount(name, queue.limits[name])} {name} and has "
        f"{amount(name, ledger.used(queue, name))}"
    )


def behind(number: int, queue: Queue) -> str:
    """Return how many gangs of its queue are before it."""
    groups = "1 group" if number == 1 else f"{number} groups"
    return f"behind {groups} in queue {queue.shown}"


def stopping(pods: Iterable[Object]) -> str:
    """Return that others are about to make room."""
    names = sorted(_shown(pod) for pod in pods)
    more = f" and {len(names) - _MOST_HOLDERS} more" if len(names) > _MOST_HOLDERS else ""
    return f"waiting until {', '.join(names[:_MOST_HOLDERS])}{more} have stopped"


def kept_for(unit: Unit) -> str:
    """Return that free room is not to be had."""
    return f"room is held for {unit.name}, which has waited longest"

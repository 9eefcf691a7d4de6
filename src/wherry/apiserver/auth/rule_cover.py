"""Whether one set of rules grants no more than another: what keeps users from raising their rights.

Both sets are taken apart into rules of one verb, group, resource and name; each must be covered by a
single rule of the owner's. Source: `component-helpers/auth/rbac/validation` of Kubernetes.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator

from wherry.apiserver.authorization import Rule

_MOST_PARTS = 20_000
_EVERYTHING = frozenset({"*"})
_NOTHING: frozenset[str] = frozenset()


def uncovered(owned: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """Return the smallest parts of ``wanted`` that no rule of ``owned`` grants.

    Args:
        owned: What somebody holds.
        wanted: What they want to give.

    Raises:
        ValueError: The rules have too many parts to compare them all.
    """
    held = list(dict.fromkeys(owned))
    left = [rule for rule in wanted if not any(_covers(each, rule) for each in held)]
    # A rule's parts are a product: a small body could keep the server busy for hours.
    if sum(_size(rule) for rule in left) > _MOST_PARTS:
        raise ValueError(
            f"its rules stand for more than {_MOST_PARTS:,} combinations of verb, group, resource "
            f"and name that are not all yours; divide the role"
        )
    parts = dict.fromkeys(part for rule in left for part in _parts(rule))
    return [part for part in parts if not any(_covers(rule, part) for rule in held)]


def describe(rules: Iterable[Rule]) -> list[str]:
    """Return rules as kube-apiserver prints them, those that differ only by verb as one."""
    merged: dict[Rule, Rule] = {}
    for rule in rules:
        place = dataclasses.replace(rule, verbs=_NOTHING)
        known = merged.get(place, place)
        merged[place] = dataclasses.replace(known, verbs=known.verbs | rule.verbs)
    return sorted(_text(rule) for rule in merged.values())


def holds_everything(owned: Iterable[Rule]) -> bool:
    """Return whether rules are those of a cluster administrator."""
    every = Rule(_EVERYTHING, _EVERYTHING, _EVERYTHING, _NOTHING, ())
    paths = Rule(_EVERYTHING, _NOTHING, _NOTHING, _NOTHING, ("*",))
    return not uncovered(owned, (every, paths))


def _size(rule: Rule) -> int:
    names = max(len(rule.names), 1)
    return len(rule.verbs) * (len(rule.paths) + len(rule.groups) * len(rule.resources) * names)


def _parts(rule: Rule) -> Iterator[Rule]:
    for verb in sorted(rule.verbs):
        verbs = frozenset({verb})
        for path in rule.paths:
            yield Rule(verbs, _NOTHING, _NOTHING, _NOTHING, (path,))
        for group in sorted(rule.groups):
            for resource in sorted(rule.resources):
                for names in [frozenset({name}) for name in sorted(rule.names)] or [_NOTHING]:
                    yield Rule(
                        verbs,
                        frozenset({group}),
                        frozenset({resource}),
                        names,
                        (),
                    )


def _covers(owner: Rule, rule: Rule) -> bool:
    """Return whether one rule grants all that another does."""
    if not ("*" in owner.verbs or rule.verbs <= owner.verbs):
        return False
    if not all(any(_path_covers(path, each) for path in owner.paths) for each in rule.paths):
        return False
    if not rule.resources:
        return True
    if not ("*" in owner.groups or rule.groups <= owner.groups):
        return False
    if owner.names and not (rule.names and rule.names <= owner.names):
        return False
    return all(_resource_covered(owner.resources, each) for each in rule.resources)


def _resource_covered(owned: frozenset[str], resource: str) -> bool:
    if "*" in owned or resource in owned:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in owned


def _path_covers(owned: str, path: str) -> bool:
    if owned.endswith("*"):
        return path.startswith(owned[:-1])
    return owned == path


def _text(rule: Rule) -> str:
    fields = {
        "APIGroups": sorted(rule.groups),
        "Resources": sorted(rule.resources),
        "NonResourceURLs": sorted(rule.paths),
        "ResourceNames": sorted(rule.names),
        "Verbs": sorted(rule.verbs),
    }
    return "{" + ", ".join(f"{name}:{_list(each)}" for name, each in fields.items() if each) + "}"


def _list(values: Iterable[str]) -> str:
    return "[" + " ".join(json.dumps(value, ensure_ascii=False) for value in values) + "]"

"""How definitions, and the objects that they define, differ from other kinds when written."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.apiserver.crds import validation
from wherry.apiserver.strategy import Context, Strategy
from wherry.objects import conditions, kinds
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that holds a definition until its objects are gone."""


_HTTPS: Final = 443


class CustomStrategy(Strategy):
    """The behaviour of a custom resource.

    Strategies of custom kinds that are known to the server derive from it.

    Args:
        selectable: Paths that field selectors may name, with a leading dot.
    """

    unconditional_update = False

    def __init__(self, selectable: tuple[str, ...] = ()) -> None:
        self._selectable = selectable

    def selectable_fields(self, obj: Object) -> Mapping[str, str]:
        """Return the definition's `selectableFields`."""
        return {path[1:]: _text_at(obj, path[1:].split(".")) for path in self._selectable}


def _text_at(obj: Object, names: list[str]) -> str:
    value: Any = obj
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, dict | list) else str(value)


class DefinitionStrategy(Strategy):
    """The behaviour of CustomResourceDefinitions."""

    def default(self, obj: Object) -> None:
        """Fill in the names that follow from others, and the conversion."""
        spec = obj["spec"]
        names = spec["names"]
        kind = names.get("kind") or ""
        names["singular"] = names.get("singular") or kind.lower()
        names["listKind"] = names.get("listKind") or f"{kind}List"
        conversion = spec["conversion"] = spec.get("conversion") or {"strategy": "None"}
        config = (conversion.get("webhook") or {}).get("clientConfig") or {}
        if config.get("service") is not None:
            config["service"].setdefault("port", _HTTPS)

    def prepare_create(self, obj: Object, context: Context) -> None:
        """Accept the names where they are free: the definition is served at once."""
        finalizers = obj["metadata"].setdefault("finalizers", [])
        if CLEANUP not in finalizers:
            finalizers.append(CLEANUP)
        obj["status"] = {}
        _judge_names(obj, context)

    def prepare_update(self, obj: Object, old: Object, context: Context) -> None:
        """Judge the names again, and remember the storage version."""
        if context.subresource is None:
            _judge_names(obj, context)

    def validate(self, obj: Object, old: Object | None, context: Context) -> list[Cause]:
        """Return what is wrong with the definition."""
        return validation.check(obj, old)


def _judge_names(obj: Object, context: Context) -> None:
    spec, status = obj["spec"], obj.setdefault("status", {})
    clash = next(_clashes(obj, context), "")
    listed = status.setdefault("conditions", [])
    now = context.clock()
    if clash:
        conditions.set(listed, "NamesAccepted", "False", reason="Conflict", message=clash, now=now)
        if not conditions.is_true(obj, "Established"):
            message = "not all names are accepted"
            conditions.set(
                listed, "Established", "False", reason="NotAccepted", message=message, now=now
            )
    else:
        message = "no conflicts found"
        conditions.set(
            listed, "NamesAccepted", "True", reason="NoConflicts", message=message, now=now
        )
        message = "the initial names have been accepted"
        conditions.set(
            listed, "Established", "True", reason="InitialNamesAccepted", message=message, now=now
        )
        status["acceptedNames"] = dict(spec["names"])
    stored = status.setdefault("storedVersions", [])
    for version in spec["versions"]:
        if version.get("storage") and version["name"] not in stored:
            stored.append(version["name"])


def _clashes(obj: Object, context: Context) -> Iterator[str]:
    """Yield which names are taken by others of the group."""
    spec = obj["spec"]
    wanted, group = spec["names"], spec.get("group")
    taken: dict[str, str] = {}
    for resource in kinds.BUILTIN:
        if resource.group == group:
            taken |= dict.fromkeys((resource.plural, resource.singular), resource.key)
            taken[resource.kind] = resource.key
    resource = kinds.CUSTOM_RESOURCE_DEFINITIONS
    for name in context.lookup.names(resource):
        # Definitions are large, and their names end with their group: few are parsed, one at a time.
        if name.partition(".")[2] != group or name == obj["metadata"].get("name"):
            continue
        other = context.lookup.get(resource, name) or {}
        accepted = (other.get("status") or {}).get("acceptedNames") or {}
        for value in _all_names(accepted):
            taken[value] = name
    for value in _all_names(wanted):
        if value in taken:
            yield f'"{value}" is already in use by {taken[value]}'


def _all_names(names: Mapping[str, Any]) -> list[str]:
    found = [names.get(key, "") for key in ("plural", "singular", "kind", "listKind")]
    return [name for name in (*found, *(names.get("shortNames") or ())) if name]

"""From a definition to the resources that it defines."""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wherry.apiserver import conversions
from wherry.apiserver.admission.webhook_client import WebhookClient
from wherry.apiserver.converting import Asking
from wherry.apiserver.crds import keywords
from wherry.apiserver.crds.conversion_webhook import ConversionWebhook
from wherry.apiserver.crds.hooks import HookedStrategy, Hooks, convert_all
from wherry.apiserver.crds.stored_defaults import StoredDefaults
from wherry.apiserver.crds.strategy import CustomStrategy
from wherry.apiserver.resources import ScalePaths, Served, precedence
from wherry.apiserver.strategy import Strategy
from wherry.objects import conditions, metadata, openapi
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.objects.schemas import Schema

Conversion = tuple[Callable[[Iterable[Object], str], list[Object]], bool]


@dataclass(frozen=True, slots=True)
class Known:
    """What the server knows of custom kinds beyond their definitions, by resource key.

    Attributes:
        strategies: For kinds that differ in everything.
        hooks: For kinds with defaults, rules or versions of their own.
    """

    strategies: Mapping[str, Strategy]
    hooks: Mapping[str, Hooks]

    def strategy(self, storage: Resource, selectable: tuple[str, ...]) -> Strategy:
        """Return the strategy of a version of a kind."""
        if special := self.strategies.get(storage.key):
            return special
        if hooks := self.hooks.get(storage.key):
            return HookedStrategy(hooks, storage.api_version, selectable)
        return CustomStrategy(selectable)

    def conversion(
        self, definition: Object, schemas: Mapping[str, Callable[[], Schema]], client: WebhookClient
    ) -> Conversion:
        """Return what converts objects of a definition, and whether it asks a webhook."""
        hooks = self.hooks.get(definition["metadata"]["name"])
        if hooks is not None and hooks.convert is not None:
            return convert_all(hooks.convert), False
        conversion = definition["spec"].get("conversion") or {}
        if conversion.get("strategy") == "Webhook":
            return Asking(ConversionWebhook(conversion, schemas, client)), True
        return conversions.convert_all, False


def served_by(
    definition: Object, reread: Callable[[], Object], known: Known, client: WebhookClient
) -> list[Served]:
    """Return what a stored definition serves: its versions, the most stable first.

    Args:
        definition: With its status; one that is not established serves nothing.
        reread: Returns the definition again: of its schemas nothing is kept.
        known: What the server knows itself.
        client: Calls conversion webhooks.
    """
    if not conditions.is_true(definition, "Established"):
        return []
    spec = definition["spec"]
    rows = {version["name"]: _resource(spec, version) for version in spec["versions"]}
    storage = next(rows[each["name"]] for each in spec["versions"] if each.get("storage"))
    terminating = "deletionTimestamp" in definition["metadata"]
    structural = {name: functools.partial(_structural, reread, name) for name in rows}
    schemas = {row.api_version: _schema(structural[name]) for name, row in rows.items()}
    convert, asks = known.conversion(definition, schemas, client)
    defaults = None
    stored = next(each for each in spec["versions"] if each.get("storage"))
    if keywords.uses(stored["schema"]["openAPIV3Schema"], keywords.DEFAULT):
        api_version = storage.api_version
        revision = metadata.resource_version(definition)
        defaults = StoredDefaults(api_version, schemas[api_version], revision)
    return [
        Served(
            resource=rows[version["name"]],
            storage=storage,
            schema=schemas[rows[version["name"]].api_version],
            strategy=known.strategy(storage, _selectable(version)),
            definition={
                **{key: value for key, value in version.items() if key != "schema"},
                "listKind": spec["names"]["listKind"],
                "terminating": terminating,
            },
            scale=_scale(version),
            rules=_rules(version["schema"]["openAPIV3Schema"], structural[version["name"]]),
            convert=convert,
            asks=asks,
            defaults=defaults,
            structural=structural[version["name"]],
        )
        for version in sorted(spec["versions"], key=lambda each: precedence(each["name"]))
        if version.get("served")
    ]


def _structural(reread: Callable[[], Object], name: str) -> Mapping[str, Any]:
    """Return the schema of a version of a definition."""
    version = next(each for each in reread()["spec"]["versions"] if each["name"] == name)
    found: Mapping[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def _schema(structural: Callable[[], Mapping[str, Any]]) -> Callable[[], Schema]:
    """Return what compiles the schema when the first object comes, and once."""
    return functools.cache(lambda: openapi.custom(structural()))


def _rules(
    schema: Mapping[str, Any], structural: Callable[[], Mapping[str, Any]]
) -> Callable[[Object, Object | None], list[Cause]] | None:
    """Return what asks the rules of a schema, which are compiled when the first object comes."""
    if not keywords.uses(schema, keywords.RULES):
        return None

    @functools.cache
    def compiled() -> Any:
        # Few clusters have rules, and the language is a few megabytes.
        from wherry.apiserver.crds import rules  # noqa: PLC0415 - CEL is loaded when used

        return rules.RuleSet(structural())

    def check(obj: Object, old: Object | None) -> list[Cause]:
        found: list[Cause] = compiled().check(obj, old)
        return found

    return check


def _selectable(version: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(field["jsonPath"] for field in version.get("selectableFields") or ())


def _resource(spec: Mapping[str, Any], version: Mapping[str, Any]) -> Resource:
    names = spec["names"]
    subresources = version.get("subresources") or {}
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        singular=names.get("singular") or names["kind"].lower(),
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(
            name for name in ("scale", "status") if subresources.get(name) is not None
        ),
    )


def _keys(path: str) -> tuple[str, ...]:
    return tuple(path.lstrip(".").split("."))


def _scale(version: Mapping[str, Any]) -> ScalePaths | None:
    scale = (version.get("subresources") or {}).get("scale")
    if scale is None:
        return None
    selector = scale.get("labelSelectorPath")
    return ScalePaths(
        _keys(scale["specReplicasPath"]),
        _keys(scale["statusReplicasPath"]),
        _keys(selector) if selector else None,
    )

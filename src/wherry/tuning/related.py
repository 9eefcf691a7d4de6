"""What is wrong with an Experiment as far as ConfigMaps tell: its template's, and katib-config. Pure.

The controller looks again when it makes trials: ConfigMaps come, go and change.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.declared.kind import Reference, Related, Seen
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning import defaults, kinds, services, settings, template_checks, templates

_FIELD: Final = "spec.trialTemplate"
_CONFIG: Final = Reference(core.CONFIG_MAPS, settings.NAME, kinds.NAMESPACE)


def _reference(obj: Object) -> Reference | None:
    source = templates.source((obj.get("spec") or {}).get("trialTemplate") or {})
    if source is None:
        return None
    name, namespace = source.get("configMapName"), source.get("configMapNamespace")
    return Reference(core.CONFIG_MAPS, str(name), str(namespace))


def text(obj: Object, seen: Seen) -> str | None:
    """Return the text of an Experiment's template that stands in a ConfigMap; None: in none.

    Args:
        obj: The Experiment.
        seen: What `references` names, as far as it could be looked up.

    Raises:
        templates.MissingTemplateError: it is not there.
    """
    source = templates.source((obj.get("spec") or {}).get("trialTemplate") or {})
    if source is None:
        return None
    wanted = _reference(obj)
    found = (seen.get(wanted) if wanted is not None else None) or {}
    path = source.get("templatePath")
    if path not in (found.get("data") or {}):
        raise templates.MissingTemplateError(f"{path} is not there")
    return str(found["data"][path])


def references(obj: Object, old: Object | None) -> Sequence[Reference]:
    """Return the ConfigMaps that an Experiment needs; nothing where it is not new."""
    if old is not None:
        return ()
    needed = any(services.wanted(obj.get("spec") or {}))
    wanted = (_reference(obj), _CONFIG if needed else None)
    return [each for each in wanted if each is not None]


def validate(obj: Object, old: Object | None, seen: Seen) -> list[Cause]:
    """Return what is wrong with an Experiment.

    Args:
        obj: With defaults filled in.
        old: As it was before; None: it is new.
        seen: What `references` names, as far as it could be looked up.
    """
    if old is not None:
        return []
    causes = list(_names(obj, seen[_CONFIG])) if _CONFIG in seen else []
    wanted = _reference(obj)
    if wanted is not None and wanted in seen:
        causes += _causes(defaults.default(obj), wanted, seen[wanted])
    return causes


def _names(obj: Object, config: Object | None) -> Iterator[Cause]:
    """Yield that nobody has an algorithm or a stopper of a name."""
    spec = obj["spec"]
    for part in ("algorithm", "earlyStopping"):
        try:
            services.find({part: spec.get(part)}, config)
        except services.ConfigError as error:
            yield Cause(f"spec.{part}.algorithmName", str(error), "FieldValueNotSupported")


def _causes(obj: Object, wanted: Reference, found: Object | None) -> Iterator[Cause]:
    template = obj["spec"]["trialTemplate"]
    go = template.get("goTemplate")
    field = f"{_FIELD}.goTemplate.templateSpec" if go else f"{_FIELD}.configMap"
    if found is None:
        message = f'there is no ConfigMap "{wanted.name}" in namespace "{wanted.namespace}"'
        yield Cause(f"{field}.configMapName", message, "FieldValueNotFound")
        return
    data = found.get("data") or {}
    path = (templates.source(template) or {}).get("templatePath")
    if path not in data:
        told = ", ".join(sorted(data)) or "nothing"
        message = f'"{path}" is not in ConfigMap {metadata.name(found)}, which holds {told}'
        yield Cause(f"{field}.templatePath", message, "FieldValueNotFound")
    elif go:
        yield from template_checks.check_go(obj, str(data[path]), field)
    else:
        yield from _text(template, str(data[path]), field)


def _text(template: Object, text: str, field: str) -> Iterator[Cause]:
    try:
        run = templates.with_placeholders(text)
    except templates.TemplateError as error:
        yield Cause(field, str(error))
        return
    yield from template_checks.check_run(template, run, field)


RELATED: Final = Related(references, validate)

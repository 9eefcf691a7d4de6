"""What is wrong with an Experiment as far as the ConfigMap of its template tells. Pure.

The controller looks again when it makes trials: ConfigMaps come, go and change.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.declared.kind import Reference, Related, Seen
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning import defaults, template_checks, templates

_FIELD: Final = "spec.trialTemplate"


def _reference(obj: Object) -> Reference | None:
    source = templates.source((obj.get("spec") or {}).get("trialTemplate") or {})
    if source is None:
        return None
    name, namespace = source.get("configMapName"), source.get("configMapNamespace")
    return Reference(core.CONFIG_MAPS, str(name), str(namespace))


def references(obj: Object, old: Object | None) -> Sequence[Reference]:
    """Return the ConfigMap of an Experiment's template; nothing where it is not new."""
    wanted = _reference(obj)
    return () if old is not None or wanted is None else (wanted,)


def validate(obj: Object, old: Object | None, seen: Seen) -> list[Cause]:
    """Return what is wrong with an Experiment.

    Args:
        obj: With defaults filled in.
        old: As it was before; None: it is new.
        seen: What `references` names, as far as it could be looked up.
    """
    wanted = _reference(obj)
    if old is not None or wanted is None or wanted not in seen:
        return []
    return list(_causes(defaults.default(obj), wanted, seen[wanted]))


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

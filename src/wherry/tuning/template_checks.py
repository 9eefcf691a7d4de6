"""What is wrong with the template of an Experiment's trials. Pure.

Source: kubeflow/katib 0.19, ``pkg/webhook/v1beta1/experiment/validator`` (validateTrialTemplate).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.objects import kinds as core
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning import templates, workloads

_FIELD: Final = "spec.trialTemplate"
_REQUIRED: Final = "FieldValueRequired"
_FORBIDDEN: Final = "FieldValueForbidden"
_DUPLICATE: Final = "FieldValueDuplicate"
_SOURCES: Final = ("trialSpec", "configMap", "goTemplate")
_OLD_KINDS: Final = ("batch/v1 Job", "kubeflow.org/v1 TFJob", "kubeflow.org/v1 PyTorchJob")

_Part = Mapping[str, Any]


def check(obj: Object) -> Iterator[Cause]:
    """Yield what is wrong with ``spec.trialTemplate``, as far as the Experiment itself shows.

    Args:
        obj: The Experiment with defaults filled in.
    """
    template: _Part = obj["spec"].get("trialTemplate") or {}
    given = [name for name in _SOURCES if template.get(name)]
    if len(given) != 1:
        told = f"there are {', '.join(given)}" if given else "there is none"
        yield Cause(_FIELD, f"want one of {', '.join(_SOURCES)}; {told}", _REQUIRED)
        return
    for field in ("successCondition", "failureCondition"):
        yield from _condition(template, field)
    if template.get("goTemplate"):
        yield from _go(obj, template["goTemplate"])
        return
    if not template.get("primaryContainerName"):
        message = "must be given: it is the container whose metrics count"
        yield Cause(f"{_FIELD}.primaryContainerName", message, _REQUIRED)
    yield from _parameters(obj, template)
    if template.get("configMap"):
        yield from _config_map(template["configMap"], f"{_FIELD}.configMap")
    else:
        run = template["trialSpec"]
        yield from check_run(template, run, f"{_FIELD}.trialSpec")
        if "successCondition" not in template or "failureCondition" not in template:
            yield from _no_conditions(template, run)


def _condition(template: _Part, field: str) -> Iterator[Cause]:
    expression = str(template.get(field) or "")
    problem = workloads.syntax_problem(expression) if expression else ""
    if problem:
        yield Cause(f"{_FIELD}.{field}", f'"{expression}" is no GJSON expression: {problem}')


def _no_conditions(template: _Part, run: _Part) -> Iterator[Cause]:
    for field in ("successCondition", "failureCondition"):
        if not template.get(field):
            message = f"must be given: how a {run.get('kind')} ends is not known"
            yield Cause(f"{_FIELD}.{field}", message, _REQUIRED)


def _config_map(source: _Part, field: str) -> Iterator[Cause]:
    for name in ("configMapName", "configMapNamespace", "templatePath"):
        if not source.get(name):
            yield Cause(f"{field}.{name}", "must be given", _REQUIRED)


def _parameters(obj: Object, template: _Part) -> Iterator[Cause]:
    given = template.get("trialParameters") or ()
    field = f"{_FIELD}.trialParameters"
    if not given:
        yield Cause(field, "must hold at least one parameter", _REQUIRED)
    known = {str(each.get("name")) for each in obj["spec"].get("parameters") or ()}
    names: set[str] = set()
    references: set[str] = set()
    for index, each in enumerate(given):
        at, name, reference = f"{field}[{index}]", each.get("name"), each.get("reference")
        for part, value, seen in (("name", name, names), ("reference", reference, references)):
            if not value:
                yield Cause(f"{at}.{part}", "must be given", _REQUIRED)
            elif value in seen:
                yield Cause(f"{at}.{part}", f'"{value}" is there twice', _DUPLICATE)
            seen.add(str(value))
        if name and ("{" in name or "}" in name):
            yield Cause(f"{at}.name", f'"{name}": braces are not accepted')
        # Parameters of an architecture are named by the algorithm.
        searched = obj["spec"].get("nasConfig") or reference in known
        if reference and not searched and not templates.METADATA.fullmatch(reference):
            told = ", ".join(sorted(known))
            yield Cause(
                f"{at}.reference",
                f'"{reference}" is no parameter of the search ({told}), and none of '
                "${trialSpec.Name}, .Namespace, .Kind, .APIVersion, .Labels[…], .Annotations[…]",
            )


def check_run(template: _Part, run: Object, field: str) -> Iterator[Cause]:
    """Yield what is wrong with the object that a template makes, placeholders and all.

    Args:
        template: ``spec.trialTemplate``.
        run: The object.
        field: Where it stands.
    """
    for name in ("apiVersion", "kind"):
        if not run.get(name):
            yield Cause(f"{field}.{name}", "must be given", _REQUIRED)
    builtin = core.by_kind(str(run.get("apiVersion")), str(run.get("kind")))
    if builtin is not None and (why := workloads.unfit(builtin)):
        yield Cause(f"{field}.kind", why, _FORBIDDEN)
    fields = run.get("metadata") or {}
    for name in ("name", "namespace"):
        if fields.get(name):
            message = "must be left out: it is that of the trial"
            yield Cause(f"{field}.metadata.{name}", message, _FORBIDDEN)
    declared = {str(each.get("name")) for each in template.get("trialParameters") or ()}
    used = set(templates.placeholders(run))
    for name in sorted(used - declared):
        told = f"${{trialParameters.{name}}} is not among trialParameters"
        yield Cause(field, f"{told}: {', '.join(sorted(declared)) or 'none'}")
    for name in sorted(declared - used):
        yield Cause(
            field, f"trialParameters has {name}, but there is no ${{trialParameters.{name}}}"
        )
    containers = [
        str(each.get("name"))
        for pod in workloads.pod_templates(run)
        for each in pod["spec"]["containers"]
    ]
    main = template.get("primaryContainerName")
    if main and containers and main not in containers:
        message = f'"{main}" is no container of the template; there are {", ".join(containers)}'
        yield Cause(f"{_FIELD}.primaryContainerName", message)


def _go(obj: Object, go: _Part) -> Iterator[Cause]:
    field = f"{_FIELD}.goTemplate"
    raw, spec = go.get("rawTemplate"), go.get("templateSpec")
    if bool(raw) == bool(spec):
        yield Cause(field, "want rawTemplate or templateSpec", _REQUIRED)
    elif spec:
        yield from _config_map(spec, f"{field}.templateSpec")
    else:
        yield from check_go(obj, None, f"{field}.rawTemplate")


def check_go(obj: Object, text: str | None, field: str) -> Iterator[Cause]:
    """Yield what is wrong with a Go template, by rendering it once.

    Args:
        obj: The Experiment with defaults filled in.
        text: What the ConfigMap holds that it is in; None where it is in the Experiment.
        field: Where it stands.
    """
    try:
        run = templates.render(obj, templates.example(obj), text)
    except templates.TemplateError as error:
        yield Cause(field, str(error))
        return
    template = obj["spec"]["trialTemplate"]
    kind = f"{run.get('apiVersion')} {run.get('kind')}"
    if kind not in _OLD_KINDS and not template.get("successCondition"):
        accepted = ", ".join(_OLD_KINDS)
        yield Cause(field, f"makes a {kind}; want one of {accepted}, or a successCondition")

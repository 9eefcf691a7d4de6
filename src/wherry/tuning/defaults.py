"""What an Experiment says where its user said nothing. Pure, and idempotent.

Source: kubeflow/katib 0.19, ``pkg/apis/controller/experiments/v1beta1/experiment_defaults.go``.
"""

from typing import Any, Final

from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.tuning import collectors, kinds, optimum, search, workloads

PARALLEL: Final = 3


def default(obj: Object) -> Object:
    """Return an Experiment with what its user left out; all but its spec is shared with ``obj``.

    Args:
        obj: As the user wrote it, in v1beta1; not changed.
    """
    spec = copied(obj.get("spec") or {})
    if spec.get("parallelTrialCount") is None:
        spec["parallelTrialCount"] = PARALLEL
    if not spec.get("resumePolicy"):
        spec["resumePolicy"] = kinds.NEVER
    _strategies(spec.get("objective"))
    for field in ("algorithm", "earlyStopping"):
        _settings(spec.get(field))
    _parameters(spec.get("parameters"))
    for operation in (spec.get("nasConfig") or {}).get("operations") or ():
        _parameters(operation.get("parameters"))
    _template(spec.get("trialTemplate"))
    _collector(spec)
    return {**obj, "spec": spec}


def _strategies(objective: dict[str, Any] | None) -> None:
    if not objective or objective.get("type") not in {kinds.MINIMIZE, kinds.MAXIMIZE}:
        return
    given = objective.get("metricStrategies") or []
    known = {each.get("name") for each in given}
    further = objective.get("additionalObjectives") or ()
    names = [
        objective.get("objectiveMetricName"),
        *(each.get("objectiveMetricName") for each in further),
        *(objective.get("additionalMetricNames") or ()),
    ]
    for name in names:
        if name and name not in known:
            known.add(name)
            given.append({"name": name, "value": optimum.strategy(objective, name)})
    if given:
        objective["metricStrategies"] = given


def _settings(chosen: dict[str, Any] | None) -> None:
    for setting in (chosen or {}).get("algorithmSettings") or ():
        if "value" in setting:
            setting["value"] = search.text(setting["value"])


def _parameters(parameters: list[Object] | None) -> None:
    """Make text of the numbers of a space, which Katib wants, and which few people write."""
    for parameter in parameters or ():
        space = parameter.get("feasibleSpace")
        if space is not None:
            if isinstance(space.get("distribution"), list) and not space.get("list"):
                # Where `search.categorical` of Katib's SDK 0.18 and 0.19 puts the values.
                space["list"] = space.pop("distribution")
            for field in ("min", "max", "step"):
                if field in space:
                    space[field] = search.text(space[field])
            if "list" in space:
                space["list"] = [search.text(each) for each in space["list"]]
            numeric = parameter.get("parameterType") in {kinds.DOUBLE, kinds.INT}
            if numeric and not space.get("distribution"):
                space["distribution"] = "uniform"
        parent = parameter.get("parent")
        if parent and "values" in parent:
            parent["values"] = [search.text(each) for each in parent["values"]]


def _template(template: dict[str, Any] | None) -> None:
    run = (template or {}).get("trialSpec")
    if template and run:
        template |= by_kind(template, run)


def by_kind(template: dict[str, Any], run: Object) -> dict[str, Any]:
    """Return what is left out of a trial template and follows from what it makes.

    Args:
        template: ``spec.trialTemplate``.
        run: The object that it makes.
    """
    known = workloads.known(str(run.get("apiVersion", "")), str(run.get("kind", "")))
    if known is None:
        return {}
    follows = {
        "successCondition": known.success,
        "failureCondition": known.failure,
        "primaryPodLabels": dict(known.labels),
    }
    return {field: value for field, value in follows.items() if value and not template.get(field)}


def _collector(spec: dict[str, Any]) -> None:
    chosen = spec.get("metricsCollectorSpec") or {}
    collector = chosen.get("collector") or {}
    if not collector.get("kind"):
        collector["kind"] = collectors.USUAL
    chosen["collector"] = collector
    found = collectors.get(str(collector["kind"]))
    if found is not None:
        found.default(chosen)
    spec["metricsCollectorSpec"] = chosen

"""What is wrong with an Experiment, in its own words. Pure.

Source: kubeflow/katib 0.19, ``pkg/webhook/v1beta1/experiment/validator``. Where Katib looks away
(ranges that are no numbers, strategies of unknown metrics, filters of the default collector), this
does not.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning import algorithms as all_algorithms
from wherry.tuning import (
    checkpoints,
    collectors,
    defaults,
    kinds,
    search,
    space_checks,
    status,
    template_checks,
)
from wherry.tuning import stoppers as all_stoppers
from wherry.tuning.algorithm import Algorithm, Search

REQUIRED: Final = "FieldValueRequired"
FORBIDDEN: Final = "FieldValueForbidden"
UNSUPPORTED: Final = "FieldValueNotSupported"
DUPLICATE: Final = "FieldValueDuplicate"

_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NAME_LENGTH: Final = 40
_MUTABLE: Final = ("parallelTrialCount", "maxTrialCount", "maxFailedTrialCount")
_STRATEGIES: Final = ("min", "max", "latest")

_Part = Mapping[str, Any]


def validate(obj: Object, old: Object | None) -> list[Cause]:
    """Return what is wrong with an Experiment.

    Args:
        obj: With defaults filled in.
        old: As it was before; None: it is new.
    """
    spec: _Part = obj.get("spec") or {}
    causes = [*_name(obj, old), *_counts(spec)]
    if old is not None:
        return [*causes, *_changes(obj, old)]
    causes += [
        *_objective(spec.get("objective") or {}),
        *_space(spec),
        *_policy(spec),
        *_collector(spec),
        *template_checks.check(obj),
    ]
    if not causes:
        causes += [*_algorithm(obj), *_stopper(spec)]
    return causes


def _name(obj: Object, old: Object | None) -> Iterator[Cause]:
    name = metadata.name(obj)
    if old is None and not (_NAME.fullmatch(name) and len(name) <= _NAME_LENGTH):
        yield Cause(
            "metadata.name",
            f'"{name}": must begin with a lowercase letter, have only lowercase letters, digits and '
            f'"-", not end in "-", and have at most {_NAME_LENGTH} characters: trials are named after it',
        )


def _counts(spec: _Part) -> Iterator[Cause]:
    most, failed, parallel = (
        spec.get(field) for field in ("maxTrialCount", "maxFailedTrialCount", "parallelTrialCount")
    )
    for field, value, least in (
        ("maxTrialCount", most, 1),
        ("maxFailedTrialCount", failed, 0),
        ("parallelTrialCount", parallel, 1),
    ):
        if value is not None and value < least:
            yield Cause(f"spec.{field}", f"{value}: want at least {least}")
    for field, value in (("maxFailedTrialCount", failed), ("parallelTrialCount", parallel)):
        if value is not None and most is not None and value > most:
            yield Cause(f"spec.{field}", f"{value}: want at most maxTrialCount, which is {most}")


def _changes(obj: Object, old: Object) -> Iterator[Cause]:
    # An object of an older release has not all the defaults of today.
    before, after = defaults.default(old)["spec"], obj.get("spec") or {}
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if not changed:
        return
    for name in sorted(changed):
        if name not in _MUTABLE:
            accepted = ", ".join(_MUTABLE)
            yield Cause(f"spec.{name}", f"cannot be changed; only {accepted} can", FORBIDDEN)
    done = (old.get("status") or {}).get("trials") or 0
    most = after.get("maxTrialCount")
    if status.is_finished(old):
        if not status.may_restart({**old, "spec": after}):
            yield Cause("spec", _why_finished(old, after, done), FORBIDDEN)
    elif "maxTrialCount" in changed and most is not None and most < done:
        yield Cause("spec.maxTrialCount", f"{most}: there are {done} trials already")


def _why_finished(old: Object, after: _Part, done: int) -> str:
    policy = after.get("resumePolicy")
    if policy == kinds.NEVER:
        return f"the experiment has ended, and its resumePolicy is {policy}"
    if (after.get("maxTrialCount") or done + 1) <= done:
        told = after.get("maxTrialCount")
        return f"the experiment has ended: to go on, maxTrialCount, which is {told}, must be above {done}"
    reasons = [each.get("reason") for each in (old.get("status") or {}).get("conditions") or ()]
    return (
        f"the experiment has ended ({reasons[-1]}); only one that has ended because maxTrialCount "
        "was reached can go on"
    )


def _objective(objective: _Part) -> Iterator[Cause]:
    field = "spec.objective"
    if not objective:
        yield Cause(field, "must say what is searched for", REQUIRED)
        return
    yield from _one_objective(objective, field)
    first = objective.get("objectiveMetricName")
    further = objective.get("additionalObjectives") or ()
    objectives = [first]
    for index, each in enumerate(further):
        at = f"{field}.additionalObjectives[{index}]"
        yield from _one_objective(each, at)
        if each.get("objectiveMetricName") in objectives:
            told = each.get("objectiveMetricName")
            yield Cause(f"{at}.objectiveMetricName", f'"{told}" is there twice', DUPLICATE)
        objectives.append(each.get("objectiveMetricName"))
    additional = list(objective.get("additionalMetricNames") or ())
    for index, name in enumerate(additional):
        at = f"{field}.additionalMetricNames[{index}]"
        if name == first:
            yield Cause(at, f'"{name}" is the objective itself', DUPLICATE)
        elif name in additional[:index]:
            yield Cause(at, f'"{name}" is there twice', DUPLICATE)
        elif not name:
            yield Cause(at, "must not be empty", REQUIRED)
    known = [*objectives, *additional]
    yield from _metric_strategies(objective, known)


def _one_objective(objective: _Part, field: str) -> Iterator[Cause]:
    if objective.get("type") not in {kinds.MINIMIZE, kinds.MAXIMIZE}:
        told = objective.get("type") or ""
        yield Cause(f"{field}.type", f'"{told}": want minimize or maximize', UNSUPPORTED)
    if not objective.get("objectiveMetricName"):
        yield Cause(f"{field}.objectiveMetricName", "must be given", REQUIRED)


def _metric_strategies(objective: _Part, known: Sequence[str | None]) -> Iterator[Cause]:
    seen = set()
    for index, each in enumerate(objective.get("metricStrategies") or ()):
        at = f"spec.objective.metricStrategies[{index}]"
        name, value = each.get("name"), each.get("value")
        if name not in known:
            told = ", ".join(str(one) for one in known)
            yield Cause(f"{at}.name", f'"{name}" is not among the metrics: {told}', UNSUPPORTED)
        if name in seen:
            yield Cause(f"{at}.name", f'"{name}" is there twice', DUPLICATE)
        seen.add(name)
        if value not in _STRATEGIES:
            accepted = ", ".join(_STRATEGIES)
            yield Cause(f"{at}.value", f'"{value}": want one of {accepted}', UNSUPPORTED)


def _space(spec: _Part) -> Iterator[Cause]:
    parameters, nas = spec.get("parameters") or (), spec.get("nasConfig")
    if parameters and nas:
        yield Cause("spec.nasConfig", "cannot be there together with parameters", FORBIDDEN)
    elif not parameters and not nas:
        yield Cause("spec.parameters", "want parameters, or nasConfig", REQUIRED)
    described = search.of({"metadata": {}, "spec": spec})
    for index, each in enumerate(parameters):
        if not each.get("feasibleSpace"):
            yield Cause(f"spec.parameters[{index}].feasibleSpace", "must not be empty", REQUIRED)
    if parameters:
        yield from space_checks.check(described.parameters)
    if nas:
        yield from _nas(described)


def _nas(described: Search) -> Iterator[Cause]:
    """Yield what is wrong with a graph whatever the algorithm: each has further wishes."""
    field = "spec.nasConfig"
    assert described.graph is not None
    if described.graph.layers < 1:
        yield Cause(f"{field}.graphConfig.numLayers", "must be given, and at least 1", REQUIRED)
    if not described.graph.operations:
        yield Cause(f"{field}.operations", "must hold at least one operation", REQUIRED)
    for index, operation in enumerate(described.graph.operations):
        at = f"{field}.operations[{index}]"
        if not operation.type:
            yield Cause(f"{at}.operationType", "must be given", REQUIRED)
        yield from space_checks.check(operation.parameters, f"{at}.parameters")


def _policy(spec: _Part) -> Iterator[Cause]:
    policy = spec.get("resumePolicy")
    if policy not in kinds.RESUME_POLICIES:
        accepted = ", ".join(kinds.RESUME_POLICIES)
        yield Cause("spec.resumePolicy", f'"{policy}": want one of {accepted}', UNSUPPORTED)


def _collector(spec: _Part) -> Sequence[Cause]:
    chosen = spec.get("metricsCollectorSpec") or {}
    kind = str((chosen.get("collector") or {}).get("kind") or "")
    collector = collectors.get(kind)
    if collector is None:
        accepted = ", ".join(each.kind for each in collectors.ALL)
        field = "spec.metricsCollectorSpec.collector.kind"
        return [Cause(field, f'"{kind}": want one of {accepted}', UNSUPPORTED)]
    return collector.validate(chosen)


def _algorithm(obj: Object) -> Sequence[Cause]:
    spec = obj["spec"]
    field = "spec.algorithm.algorithmName"
    name = str((spec.get("algorithm") or {}).get("algorithmName") or "")
    if not name:
        return [Cause(field, "must be given", REQUIRED)]
    algorithm = all_algorithms.find(name)
    if algorithm is None:
        return _twice(spec, "algorithm")  # another's: `related` knows whether there is one
    described = search.of(obj)
    unfit = list(_unfit(algorithm, described))
    return unfit or [
        *_twice(spec, "algorithm"),
        *algorithm.validate(described),
        *checkpoints.check(spec),
    ]


def _unfit(algorithm: Algorithm, described: Search) -> Iterator[Cause]:
    """Yield why an algorithm cannot search what is described."""
    name = algorithm.name
    if algorithm.architectures != (described.graph is not None):
        able = [one.name for one in all_algorithms.ALL if one.architectures]
        wanted = "nasConfig" if algorithm.architectures else "parameters"
        message = f"{name} searches {wanted}; architectures are searched by {', '.join(able)}"
        yield Cause("spec.algorithm.algorithmName", message, FORBIDDEN)
    if len(described.objectives) > 1 and not algorithm.multi_objective:
        able = [one.name for one in all_algorithms.ALL if one.multi_objective]
        message = f"{name} searches with one objective; with several: {', '.join(able)}"
        yield Cause("spec.objective.additionalObjectives", message, FORBIDDEN)


def _stopper(spec: _Part) -> Sequence[Cause]:
    chosen = spec.get("earlyStopping")
    if not chosen:
        return []
    name = str(chosen.get("algorithmName") or "")
    if not name:
        return [Cause("spec.earlyStopping.algorithmName", "must be given", REQUIRED)]
    collector = collectors.get(str(spec["metricsCollectorSpec"]["collector"]["kind"]))
    if collector is None or not collector.streams:
        able = ", ".join(one.kind for one in collectors.ALL if one.streams)
        message = f"needs metrics while a trial runs; want one of the collectors {able}"
        return [Cause("spec.earlyStopping", message, FORBIDDEN)]
    stopper, twice = all_stoppers.find(name), _twice(spec, "earlyStopping")
    return twice if stopper is None else [*twice, *stopper.validate(search.settings(chosen))]


def _twice(spec: _Part, part: str) -> list[Cause]:
    seen, causes = set(), []
    for index, each in enumerate((spec.get(part) or {}).get("algorithmSettings") or ()):
        name = each.get("name")
        if name in seen:
            field = f"spec.{part}.algorithmSettings[{index}].name"
            causes.append(Cause(field, f'"{name}" is there twice', DUPLICATE))
        seen.add(name)
    return causes

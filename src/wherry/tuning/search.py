"""Experiments and trials as search algorithms see them: plain values instead of objects. Pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.tuning import algorithm, kinds, optimum
from wherry.tuning.algorithm import Graph, Operation, Parameter, PastTrial, Search

_Part = Mapping[str, Any]


def of(experiment: Object) -> Search:
    """Return what an experiment searches, and how.

    Args:
        experiment: In v1beta1, defaults filled in.
    """
    spec: _Part = experiment.get("spec") or {}
    chosen: _Part = spec.get("algorithm") or {}
    return Search(
        name=metadata.name(experiment),
        parameters=tuple(_parameter(each) for each in spec.get("parameters") or ()),
        graph=_graph(spec["nasConfig"]) if spec.get("nasConfig") else None,
        objectives=objectives(spec),
        settings=settings(chosen),
        max_trials=spec.get("maxTrialCount"),
        parallel=spec.get("parallelTrialCount") or 1,
        seed=seed(experiment),
    )


def seed(experiment: Object) -> int:
    """Return the seed of an experiment that names none: the same each time it is asked for."""
    said = metadata.uid(experiment) or metadata.name(experiment)
    return int.from_bytes(hashlib.sha256(said.encode()).digest()[:4], "big") >> 1


def settings(chosen: _Part) -> dict[str, str]:
    """Return the settings of ``spec.algorithm`` or ``spec.earlyStopping``, by name."""
    given: Iterable[_Part] = chosen.get("algorithmSettings") or ()
    return {str(each.get("name", "")): text(each.get("value", "")) for each in given}


def objectives(spec: _Part) -> tuple[algorithm.Objective, ...]:
    """Return what an experiment, or a trial, is judged by; the first decides."""
    first: _Part = spec.get("objective") or {}
    further: Sequence[_Part] = first.get("additionalObjectives") or ()
    return tuple(
        algorithm.Objective(
            metric=str(each.get("objectiveMetricName", "")),
            type=str(each.get("type", "")),
            goal=each.get("goal"),
        )
        for each in (first, *further)
    )


def text(value: object) -> str:
    """Return a value that may have been written as a number as the text that Katib wants."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _parameter(given: _Part) -> Parameter:
    space: _Part = given.get("feasibleSpace") or {}
    parent: _Part = given.get("parent") or {}
    return Parameter(
        name=str(given.get("name", "")),
        type=str(given.get("parameterType", "")),
        min=text(space.get("min")),
        max=text(space.get("max")),
        step=text(space.get("step")),
        distribution=str(space.get("distribution") or ""),
        values=tuple(text(each) for each in space.get("list") or ()),
        parent=str(parent.get("name") or ""),
        parent_values=tuple(text(each) for each in parent.get("values") or ()),
    )


def _graph(given: _Part) -> Graph:
    outline: _Part = given.get("graphConfig") or {}
    return Graph(
        layers=outline.get("numLayers") or 0,
        input_sizes=tuple(outline.get("inputSizes") or ()),
        output_sizes=tuple(outline.get("outputSizes") or ()),
        operations=tuple(
            Operation(
                type=str(each.get("operationType", "")),
                parameters=tuple(_parameter(one) for one in each.get("parameters") or ()),
            )
            for each in given.get("operations") or ()
        ),
    )


def past(trial: Object, curve: Sequence[float] = ()) -> PastTrial:
    """Return a trial as algorithms see it.

    Args:
        trial: In v1beta1.
        curve: What is known of the course of its objective.
    """
    spec: _Part = trial.get("spec") or {}
    numbers, texts = {}, {}
    for name, value in optimum.values(trial).items():
        read = optimum.number(value)
        if read is None:
            texts[name] = value
        else:
            numbers[name] = read
    return PastTrial(
        name=metadata.name(trial),
        assignments=assignments(spec),
        state=optimum.state(trial),
        metrics=numbers,
        texts=texts,
        curve=tuple(curve),
        labels=dict(spec.get("labels") or {}),
        index=index(trial),
    )


def proposed(given: _Part) -> PastTrial:
    """Return a proposal of which no trial has been made yet as algorithms see it."""
    return PastTrial(
        name=str(given.get("name", "")),
        assignments=assignments(given),
        state=kinds.CREATED,
        labels=dict(given.get("labels") or {}),
        index=given.get("index") or 0,
    )


def assignments(spec: _Part) -> dict[str, str]:
    """Return the values of a trial's parameters, by name."""
    given: Iterable[_Part] = spec.get("parameterAssignments") or ()
    return {str(each.get("name", "")): str(each.get("value", "")) for each in given}


def index(trial: Object) -> int:
    """Return a trial's place in the order of proposals; 0 where none is noted."""
    noted = metadata.labels(trial).get(kinds.INDEX_LABEL, "")
    return int(noted) if noted.isdecimal() else 0


class Pasts:
    """One search's trials as algorithms see them, each made once for a version of its trial."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[Object, PastTrial]] = {}

    def of(
        self, trials: Iterable[Object], curves: Mapping[str, Sequence[float]]
    ) -> list[PastTrial]:
        """Return all trials of a search.

        Args:
            trials: All of them, out of a cache: what is the same object has not changed. What is held
                of others is dropped.
            curves: What is known of the course of their objective, by name.
        """
        held, made = {}, []
        for trial in trials:
            curve = tuple(curves.get(metadata.name(trial), ())) if curves else ()
            # Held with its trial, so that no other can have its id.
            before = self._held.get(id(trial))
            if before is None or before[1].curve != curve:
                before = (trial, past(trial, curve))
            held[id(trial)] = before
            made.append(before[1])
        self._held = held
        return made

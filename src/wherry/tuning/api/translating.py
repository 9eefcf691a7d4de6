"""Between the messages of the API and what algorithms and stoppers work with. Pure.

Messages are read by their fields alone, so that classes made elsewhere will do.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from wherry.tuning.algorithm import (
    Answer,
    Graph,
    Objective,
    Operation,
    Parameter,
    PastTrial,
    Proposal,
    Question,
    Search,
)
from wherry.tuning.api import messages
from wherry.tuning.observations.summary import number
from wherry.tuning.stopping import Rule

_STATE: Final = "wherry.dev/state/"
"""Begins settings by which an algorithm's state travels: whoever asks gives them back."""
_TYPES: Final = {
    "DOUBLE": "double",
    "INT": "int",
    "DISCRETE": "discrete",
    "CATEGORICAL": "categorical",
}
_DISTRIBUTIONS: Final = {
    "UNIFORM": "uniform",
    "LOG_UNIFORM": "logUniform",
    "NORMAL": "normal",
    "LOG_NORMAL": "logNormal",
}
_STATES: Final = {
    "CREATED": "Created",
    "RUNNING": "Running",
    "SUCCEEDED": "Succeeded",
    "KILLED": "Killed",
    "FAILED": "Failed",
    "METRICSUNAVAILABLE": "MetricsUnavailable",
    "EARLYSTOPPED": "EarlyStopped",
    "UNKNOWN": "Running",
}


def search(experiment: Any) -> Search:
    """Return what an `Experiment` message searches."""
    spec = experiment.spec
    return Search(
        name=experiment.name,
        parameters=tuple(_parameter(each) for each in spec.parameter_specs.parameters),
        graph=_graph(spec.nas_config),
        objectives=(objective(spec.objective),),
        settings={name: value for name, value in _settings(spec) if not name.startswith(_STATE)},
        max_trials=spec.max_trial_count or None,
        parallel=spec.parallel_trial_count or 1,
        seed=int.from_bytes(hashlib.sha256(experiment.name.encode()).digest()[:4], "big") >> 1,
    )


def question(request: Any) -> Question:
    """Return what a `GetSuggestionsRequest` asks."""
    spec = request.experiment.spec
    metric = spec.objective.objective_metric_name
    return Question(
        search=search(request.experiment),
        trials=tuple(past(each, index, metric) for index, each in enumerate(request.trials)),
        wanted=request.current_request_number,
        state={
            name.removeprefix(_STATE): value
            for name, value in _settings(spec)
            if name.startswith(_STATE)
        },
    )


def objective(spec: Any) -> Objective:
    """Return what an `ObjectiveSpec` wants."""
    kind = messages.name("ObjectiveType", spec.type).lower()
    return Objective(metric=spec.objective_metric_name, type=kind)


def past(trial: Any, index: int, metric: str = "", curve: Sequence[float] = ()) -> PastTrial:
    """Return a trial as algorithms see it.

    Args:
        trial: A `Trial` message.
        index: Its place among the trials.
        metric: The objective's; a value of it that is no number counts as a text.
        curve: What is known of its course.
    """
    numbers, texts = {}, {}
    for each in trial.status.observation.metrics:
        value = number(each.value)
        if value is not None:
            numbers[each.name] = value
        elif each.name == metric:
            texts[each.name] = each.value
    condition = messages.name("TrialStatus.TrialConditionType", trial.status.condition)
    return PastTrial(
        name=trial.name,
        assignments={
            each.name: each.value for each in trial.spec.parameter_assignments.assignments
        },
        state=_STATES[condition],
        metrics=numbers,
        texts=texts,
        curve=tuple(curve),
        labels=dict(trial.spec.labels),
        index=index,
    )


def reply(given: Any, answer: Answer, rules: Sequence[Rule] = ()) -> Any:
    """Return the `GetSuggestionsReply` to a request.

    Args:
        given: The `AlgorithmSpec` of the request.
        answer: What the algorithm says.
        rules: Of the trials that are made of it.
    """
    made = messages.new("GetSuggestionsReply")
    for proposal in answer.proposals:
        entry = made.parameter_assignments.add(trial_name=proposal.name)
        entry.labels.update(proposal.labels)
        for name, value in proposal.assignments.items():
            entry.assignments.add(name=name, value=value)
    if answer.state:
        made.algorithm.algorithm_name = given.algorithm_name
        held = {each.name: each.value for each in given.algorithm_settings}
        held |= {f"{_STATE}{name}": value for name, value in answer.state.items()}
        for name, value in held.items():
            made.algorithm.algorithm_settings.add(name=name, value=value)
    add_rules(made, rules)
    return made


def add_rules(made: Any, rules: Iterable[Rule]) -> None:
    """Put rules into a reply."""
    for rule in rules:
        made.early_stopping_rules.add(
            name=rule.name,
            value=rule.value,
            comparison=messages.number("ComparisonType", rule.comparison.upper()),
            start_step=rule.start_step,
        )


def rules(replied: Any) -> tuple[Rule, ...]:
    """Return the rules of a reply."""
    return tuple(
        Rule(
            name=each.name,
            value=each.value,
            comparison=messages.name("ComparisonType", each.comparison).lower(),
            start_step=each.start_step,
        )
        for each in replied.early_stopping_rules
    )


def experiment(name: str, asked: Search, state: Mapping[str, str]) -> Any:
    """Return a search as an `Experiment` message.

    Args:
        name: Of the algorithm.
        asked: The search.
        state: What its service said should be given back.
    """
    made = messages.new("Experiment", name=asked.name)
    spec = made.spec
    spec.algorithm.algorithm_name = name
    for key, value in {**asked.settings, **state}.items():
        spec.algorithm.algorithm_settings.add(name=key, value=value)
    spec.parallel_trial_count = asked.parallel
    spec.max_trial_count = asked.max_trials or 0
    _fill_objective(spec.objective, asked.objectives)
    for parameter in asked.parameters:
        _fill_parameter(spec.parameter_specs.parameters.add(), parameter)
    if asked.graph is not None:
        outline = spec.nas_config.graph_config
        outline.num_layers = asked.graph.layers
        outline.input_sizes.extend(asked.graph.input_sizes)
        outline.output_sizes.extend(asked.graph.output_sizes)
        for operation in asked.graph.operations:
            entry = spec.nas_config.operations.operation.add(operation_type=operation.type)
            for parameter in operation.parameters:
                _fill_parameter(entry.parameter_specs.parameters.add(), parameter)
    return made


def request(name: str, asked: Question) -> Any:
    """Return a question as a `GetSuggestionsRequest`."""
    made = messages.new(
        "GetSuggestionsRequest",
        experiment=experiment(name, asked.search, asked.state),
        current_request_number=asked.wanted,
        total_request_number=len(asked.trials) + asked.wanted,
    )
    conditions = {state: condition for condition, state in reversed(_STATES.items())}
    for trial in asked.trials:
        entry = made.trials.add(name=trial.name)
        _fill_objective(entry.spec.objective, asked.search.objectives)
        entry.spec.labels.update(trial.labels)
        for key, value in trial.assignments.items():
            entry.spec.parameter_assignments.assignments.add(name=key, value=value)
        condition = conditions.get(trial.state, "UNKNOWN")
        entry.status.condition = messages.number("TrialStatus.TrialConditionType", condition)
        values = {**{key: repr(value) for key, value in trial.metrics.items()}, **trial.texts}
        for key, value in values.items():
            entry.status.observation.metrics.add(name=key, value=value)
    return made


def answer(replied: Any, asked: Search) -> Answer:
    """Return what a foreign algorithm says.

    Args:
        replied: A `GetSuggestionsReply`.
        asked: The search; settings that differ from its own are the algorithm's state.
    """
    settings = {each.name: each.value for each in replied.algorithm.algorithm_settings}
    return Answer(
        proposals=tuple(
            Proposal(
                assignments={one.name: one.value for one in each.assignments},
                name=each.trial_name,
                labels=dict(each.labels),
            )
            for each in replied.parameter_assignments
        ),
        state={key: value for key, value in settings.items() if asked.settings.get(key) != value},
    )


def _settings(spec: Any) -> list[tuple[str, str]]:
    return [(each.name, each.value) for each in spec.algorithm.algorithm_settings]


def _parameter(spec: Any) -> Parameter:
    space = spec.feasible_space
    return Parameter(
        name=spec.name,
        type=_TYPES.get(messages.name("ParameterType", spec.parameter_type), ""),
        min=space.min,
        max=space.max,
        step=space.step,
        distribution=_DISTRIBUTIONS.get(messages.name("Distribution", space.distribution), ""),
        values=tuple(space.list),
    )


def _graph(spec: Any) -> Graph | None:
    if not spec.operations.operation and not spec.graph_config.num_layers:
        return None
    return Graph(
        layers=spec.graph_config.num_layers,
        input_sizes=tuple(spec.graph_config.input_sizes),
        output_sizes=tuple(spec.graph_config.output_sizes),
        operations=tuple(
            Operation(
                type=each.operation_type,
                parameters=tuple(_parameter(one) for one in each.parameter_specs.parameters),
            )
            for each in spec.operations.operation
        ),
    )


def _fill_objective(spec: Any, objectives: Sequence[Objective]) -> None:
    for first in objectives[:1]:
        spec.type = messages.number("ObjectiveType", first.type.upper())
        spec.objective_metric_name = first.metric
        spec.goal = first.goal or 0.0
    spec.additional_metric_names.extend(each.metric for each in objectives[1:])


def _fill_parameter(spec: Any, parameter: Parameter) -> None:
    types = {text: name for name, text in _TYPES.items()}
    distributions = {text: name for name, text in _DISTRIBUTIONS.items()}
    spec.name = parameter.name
    spec.parameter_type = messages.number("ParameterType", types.get(parameter.type, ""))
    space = spec.feasible_space
    space.min, space.max, space.step = parameter.min, parameter.max, parameter.step
    space.list.extend(parameter.values)
    space.distribution = messages.number(
        "Distribution", distributions.get(parameter.distribution, "")
    )

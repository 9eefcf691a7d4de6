"""What users write of an Experiment, and what Suggestion and Trial hold.

Source: kubeflow/katib 0.19, ``pkg/apis/controller/{experiments,suggestions,trials,common}/v1beta1``.
One declaration serves ``v1alpha3`` as well: it has the fields of both, and `v1alpha3` brings each
into the form of the other. Numbers that Katib wants as text may be written as numbers.

Beyond Katib: `parent` of a parameter, `additionalObjectives`, `deadlineSeconds` of a collector, the
collector kind ``None``, and in the status `optimalTrials`.
"""

from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.declared.fields import about
from wherry.objects.declared.kind import Column
from wherry.objects.declared.structural import CONDITIONS
from wherry.objects.resources import Resource

GROUP: Final = "kubeflow.org"
V1BETA1: Final = "v1beta1"
V1ALPHA3: Final = "v1alpha3"
API_VERSION: Final = f"{GROUP}/{V1BETA1}"
OLD_API_VERSION: Final = f"{GROUP}/{V1ALPHA3}"

NAMESPACE: Final = "kubeflow"
"""Where the settings of tuning are, and what is shared by all namespaces."""


def _resource(kind: str) -> Resource:
    return Resource(
        group=GROUP,
        version=V1BETA1,
        plural=f"{kind.lower()}s",
        kind=kind,
        singular=kind.lower(),
        categories=("all", "kubeflow", "katib", "wherry"),
        subresources=("status",),
    )


EXPERIMENTS: Final = _resource("Experiment")
SUGGESTIONS: Final = _resource("Suggestion")
TRIALS: Final = _resource("Trial")

CREATED: Final = "Created"
RUNNING: Final = "Running"
RESTARTING: Final = "Restarting"
SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"
KILLED: Final = "Killed"
EARLY_STOPPED: Final = "EarlyStopped"
METRICS_UNAVAILABLE: Final = "MetricsUnavailable"
PENDING: Final = "Pending"

EXPERIMENT_LABEL: Final = "katib.kubeflow.org/experiment"
TRIAL_LABEL: Final = "katib.kubeflow.org/trial"
INDEX_LABEL: Final = "wherry.dev/index"
"""Of a trial: its place in the order in which trials were proposed, from 0."""
RESUMES: Final = "wherry.dev/resumes"
"""Annotation of a trial: the trial whose checkpoint it goes on from."""

NEVER: Final = "Never"
LONG_RUNNING: Final = "LongRunning"
FROM_VOLUME: Final = "FromVolume"
RESUME_POLICIES: Final = (NEVER, LONG_RUNNING, FROM_VOLUME)

DOUBLE: Final = "double"
INT: Final = "int"

MINIMIZE: Final = "minimize"
MAXIMIZE: Final = "maximize"

MAX_NAMES: Final = 1000
"""So many names a list in the status of an Experiment holds at most, the latest."""

_TEXT: Final = 1024
_MANY: Final = 1000


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of an algorithm."""

    name: str = about("Its name.", "", maxLength=_TEXT)
    value: Any = about("Its value, as text.", "")


@dataclass(frozen=True, slots=True)
class FeasibleSpace:
    """What a parameter can be."""

    min: Any = about("Smallest value of a number, inclusive.", "")
    max: Any = about("Largest value of a number, inclusive.", "")
    step: Any = about("Distance between the values that are tried, from min.", "")
    list: tuple[Any, ...] = about("Values of a discrete or categorical parameter.", ())
    distribution: Any = about(
        "How values of a number are drawn: uniform, logUniform, normal or logNormal.", ""
    )


@dataclass(frozen=True, slots=True)
class Parent:
    """The parameter that decides whether another one is there."""

    name: str = about("Its name.", "", maxLength=_TEXT)
    values: tuple[Any, ...] = about("Its values with which the other is there.", ())


@dataclass(frozen=True, slots=True)
class Parameter:
    """A dimension of the search."""

    name: str = about("Its name, such as lr or --lr.", "", maxLength=_TEXT)
    parameter_type: str = about("double, int, discrete or categorical.", "")
    feasible_space: FeasibleSpace | None = about("What it can be.")
    parent: Parent | None = about("On which other parameter's value it depends.")


@dataclass(frozen=True, slots=True)
class MetricStrategy:
    """Which of a metric's values counts for a trial."""

    name: str = about("Name of the metric.", "", maxLength=_TEXT)
    value: str = about("min, max or latest.", "")


@dataclass(frozen=True, slots=True)
class FurtherObjective:
    """One more objective of a search that has several."""

    type: str = about("minimize or maximize.", "")
    objective_metric_name: str = about("The metric.", "", maxLength=_TEXT)


@dataclass(frozen=True, slots=True)
class Objective:
    """What is searched for."""

    type: str = about("minimize or maximize.", "")
    goal: float | None = about("Value of the metric at which the search ends.")
    objective_metric_name: str = about("The metric.", "", maxLength=_TEXT)
    additional_metric_names: tuple[str, ...] = about(
        "Metrics that are collected besides.", (), maxItems=_MANY
    )
    metric_strategies: tuple[MetricStrategy, ...] = about(
        "Which value of a metric counts; by default the best one.", (), maxItems=_MANY
    )
    additional_objectives: tuple[FurtherObjective, ...] = about(
        "Further objectives, for algorithms that search with several.", (), maxItems=16
    )


@dataclass(frozen=True, slots=True)
class OldEarlyStopping:
    """Early stopping where v1alpha3 had it; nothing ever heeded it."""

    early_stopping_algorithm_name: str = about("Its name.", "")
    early_stopping_settings: tuple[Setting, ...] = about("Its settings.", ())


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How trials are chosen."""

    algorithm_name: str = about("random, tpe, grid …", "", maxLength=_TEXT)
    algorithm_settings: tuple[Setting, ...] = about("Its settings.", (), maxItems=_MANY)
    early_stopping: OldEarlyStopping | None = about(
        "Of v1alpha3, heeded by nothing: write spec.earlyStopping."
    )


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """How trials are ended that will come to nothing."""

    algorithm_name: str = about("medianstop …", "", maxLength=_TEXT)
    algorithm_settings: tuple[Setting, ...] = about("Its settings.", (), maxItems=_MANY)


@dataclass(frozen=True, slots=True)
class TrialParameter:
    """A placeholder of the template."""

    name: str = about("As in ${trialParameters.name}.", "", maxLength=_TEXT)
    description: str = about("What it is.", "")
    reference: str = about(
        "The parameter of the search, or ${trialSpec.Name} and the like.", "", maxLength=_TEXT
    )


@dataclass(frozen=True, slots=True)
class ConfigMapSource:
    """A template in a ConfigMap."""

    config_map_name: str = about("Name of the ConfigMap.", "")
    config_map_namespace: str = about("Its namespace.", "")
    template_path: str = about("Key in its data.", "")


@dataclass(frozen=True, slots=True)
class GoTemplate:
    """A template of v1alpha3, in the language of Go's text/template."""

    raw_template: str = about("The template.", "", maxLength=1_000_000)
    template_spec: ConfigMapSource | None = about("Where the template is.")


@dataclass(frozen=True, slots=True)
class TrialTemplate:
    """What each trial runs."""

    retain: bool = about("Whether what a trial ran is kept when it has ended.", filled=False)
    trial_spec: dict[str, Any] = about("The object that a trial runs, such as a Job.", dict)
    config_map: ConfigMapSource | None = about("Where that object is written down.")
    go_template: GoTemplate | None = about("That object as v1alpha3 wrote it.")
    trial_parameters: tuple[TrialParameter, ...] = about("Its placeholders.", (), maxItems=_MANY)
    primary_pod_labels: dict[str, str] = about("Labels of the pod whose metrics count.", dict)
    primary_container_name: str = about("The container whose metrics count.", "")
    success_condition: str = about(
        "GJSON expression over the object: where it finds something, the trial has succeeded.", ""
    )
    failure_condition: str = about(
        "GJSON expression over the object: where it finds something, the trial has failed.", ""
    )


@dataclass(frozen=True, slots=True)
class FileSystemPath:
    """Where metrics are written to."""

    path: str = about("Absolute path in the container.", "")
    kind: str = about("File or Directory.", "")
    format: str = about("TEXT or JSON.", "")


@dataclass(frozen=True, slots=True)
class Filter:
    """How metrics are found in text."""

    metrics_format: tuple[str, ...] = about(
        "Regular expressions: the first group is the name, the second the value.", (), maxItems=100
    )


@dataclass(frozen=True, slots=True)
class Source:
    """Where metrics come from."""

    http_get: dict[str, Any] = about("port, path, host and scheme of an endpoint.", dict)
    file_system_path: FileSystemPath | None = about("File or directory.")
    filter: Filter | None = about("How metrics are found in text.")


@dataclass(frozen=True, slots=True)
class Collector:
    """Which collector is used."""

    kind: str = about("StdOut, File, TensorFlowEvent, PrometheusMetric, Custom, Push or None.", "")
    custom_collector: dict[str, Any] = about("Container of a Custom collector.", dict)


@dataclass(frozen=True, slots=True)
class MetricsCollector:
    """How metrics are collected."""

    collector: Collector | None = about("Which collector is used.")
    source: Source | None = about("Where metrics come from.")
    deadline_seconds: int | None = about(
        "How long after a trial has ended well its metrics may take to come; 30 by default.",
        minimum=1,
        maximum=86400,
    )


@dataclass(frozen=True, slots=True)
class GraphConfig:
    """Outline of the architectures that are searched."""

    num_layers: int | None = about("How many layers.", minimum=0)
    input_sizes: tuple[int, ...] = about("Dimensions of the input.", (), maxItems=_MANY)
    output_sizes: tuple[int, ...] = about("Dimensions of the output.", (), maxItems=_MANY)


@dataclass(frozen=True, slots=True)
class Operation:
    """A kind of layer."""

    operation_type: str = about("Its name, such as convolution.", "", maxLength=_TEXT)
    parameters: tuple[Parameter, ...] = about("Its parameters.", (), maxItems=_MANY)


@dataclass(frozen=True, slots=True)
class NasConfig:
    """The architectures that are searched."""

    graph_config: GraphConfig | None = about("Their outline.")
    operations: tuple[Operation, ...] = about("What their layers can be.", (), maxItems=_MANY)


@dataclass(frozen=True, slots=True)
class ExperimentSpec:
    """A search."""

    parameters: tuple[Parameter, ...] = about("What is searched.", (), maxItems=_MANY)
    objective: Objective | None = about("What is searched for.")
    algorithm: Algorithm | None = about("How trials are chosen.")
    early_stopping: EarlyStopping | None = about("How trials are ended early.")
    trial_template: TrialTemplate | None = about("What each trial runs.")
    parallel_trial_count: int | None = about("How many trials run at once; 3 by default.")
    max_trial_count: int | None = about("After how many trials it ends; never by default.")
    max_failed_trial_count: int | None = about("At how many failed trials it fails.")
    metrics_collector_spec: MetricsCollector | None = about("How metrics are collected.")
    nas_config: NasConfig | None = about("Architectures, in place of parameters.")
    resume_policy: str = about("Never, LongRunning or FromVolume.", "")


@dataclass(frozen=True, slots=True)
class Assignment:
    """The value of a parameter."""

    name: str = about("Of the parameter.", "")
    value: str = about("Its value.", "")


@dataclass(frozen=True, slots=True)
class Metric:
    """What a trial has reported of a metric."""

    name: str = about("Of the metric.", "")
    min: str = about("Smallest value.", "")
    max: str = about("Largest value.", "")
    latest: str = about("Latest value.", "")
    value: float | None = about("The value, in v1alpha3.")


@dataclass(frozen=True, slots=True)
class Observation:
    """What a trial has reported."""

    metrics: tuple[Metric, ...] = about("By metric.", ())


@dataclass(frozen=True, slots=True)
class OptimalTrial:
    """A trial that is best."""

    best_trial_name: str = about("Its name.", "")
    parameter_assignments: tuple[Assignment, ...] = about("What it tried.", ())
    observation: Observation | None = about("What it reported.")


@dataclass(frozen=True, slots=True)
class ExperimentStatus:
    """How far a search is."""

    start_time: str = about("When it began.", "", format="date-time")
    completion_time: str = about("When it ended.", "", format="date-time")
    last_reconcile_time: str = about("When this was written.", "", format="date-time")
    conditions: tuple[dict[str, Any], ...] = about(
        "Created, Running, Restarting, Succeeded, Failed.", (), **CONDITIONS
    )
    current_optimal_trial: OptimalTrial | None = about("The best trial so far.")
    optimal_trials: tuple[OptimalTrial, ...] = about(
        "Trials that none beats in all objectives, where there are several.", ()
    )
    running_trial_list: tuple[str, ...] = about("Names; the latest 1000.", ())
    pending_trial_list: tuple[str, ...] = about("Names; the latest 1000.", ())
    failed_trial_list: tuple[str, ...] = about("Names; the latest 1000.", ())
    succeeded_trial_list: tuple[str, ...] = about("Names; the latest 1000.", ())
    killed_trial_list: tuple[str, ...] = about("Names; the latest 1000.", ())
    early_stopped_trial_list: tuple[str, ...] = about("Names; the latest 1000.", ())
    metrics_unavailable_trial_list: tuple[str, ...] = about("Names; the latest 1000.", ())
    trials: int | None = about("All trials.")
    trials_succeeded: int | None = about("Those that have succeeded.")
    trials_failed: int | None = about("Those that have failed.")
    trials_killed: int | None = about("Those that were killed.")
    trials_pending: int | None = about("Those that wait to run.")
    trials_running: int | None = about("Those that run.")
    trials_early_stopped: int | None = about("Those that were stopped early.")
    trial_metrics_unavailable: int | None = about("Those that have ended without metrics.")


@dataclass(frozen=True, slots=True)
class Rule:
    """When a trial is stopped early."""

    name: str = about("Of the metric.", "")
    value: str = about("What it is compared with.", "")
    comparison: str = about("equal, less or greater.", "")
    start_step: int | None = about("From which report on.")


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """One attempt of a search."""

    objective: Objective | None = about("What is searched for.")
    parameter_assignments: tuple[Assignment, ...] = about("What it tries.", ())
    early_stopping_rules: tuple[Rule, ...] = about("When it is stopped early.", ())
    run_spec: Any = about("The object that it runs; in v1alpha3 as text.")
    retain_run: bool = about("Whether that object is kept when it has ended.", default=False)
    metrics_collector: MetricsCollector | None = about("How its metrics are collected.")
    metrics_collector_spec: str = about("Of v1alpha3.", "")
    primary_pod_labels: dict[str, str] = about("Labels of the pod whose metrics count.", dict)
    primary_container_name: str = about("The container whose metrics count.", "")
    success_condition: str = about("When it has succeeded.", "")
    failure_condition: str = about("When it has failed.", "")
    labels: dict[str, str] = about("What the algorithm notes of it.", dict)


@dataclass(frozen=True, slots=True)
class TrialStatus:
    """How far a trial is."""

    start_time: str = about("When it began.", "", format="date-time")
    completion_time: str = about("When it ended.", "", format="date-time")
    last_reconcile_time: str = about("When this was written.", "", format="date-time")
    conditions: tuple[dict[str, Any], ...] = about(
        "Created, Running, Succeeded, Failed, EarlyStopped …", (), **CONDITIONS
    )
    observation: Observation | None = about("What it has reported.")


@dataclass(frozen=True, slots=True)
class SuggestionSpec:
    """What is asked of the algorithm of a search."""

    algorithm: Algorithm | None = about("How trials are chosen.")
    algorithm_name: str = about("The algorithm, in v1alpha3.", "")
    early_stopping: EarlyStopping | None = about("How trials are ended early.")
    requests: int | None = about("How many trials are wanted, in all.")
    resume_policy: str = about("Never, LongRunning or FromVolume.", "")


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a trial shall try."""

    name: str = about("Of the trial.", "")
    index: int | None = about("Place in the order of all proposals, from 0.")
    parameter_assignments: tuple[Assignment, ...] = about("What it tries.", ())
    early_stopping_rules: tuple[Rule, ...] = about("When it is stopped early.", ())
    labels: dict[str, str] = about("What the algorithm notes of it.", dict)
    resumes: str = about("The trial whose checkpoint it goes on from.", "")


@dataclass(frozen=True, slots=True)
class SuggestionStatus:
    """What the algorithm has said."""

    start_time: str = about("When it began.", "", format="date-time")
    completion_time: str = about("When it ended.", "", format="date-time")
    last_reconcile_time: str = about("When this was written.", "", format="date-time")
    conditions: tuple[dict[str, Any], ...] = about(
        "Created, DeploymentReady, Running, Succeeded, Failed.", (), **CONDITIONS
    )
    algorithm_settings: tuple[Setting, ...] = about("What the algorithm remembers.", ())
    suggestion_count: int | None = about("How many trials it has proposed that stand.")
    proposed: int | None = about("How many it has ever proposed.")
    ended: bool | None = about("Whether there is nothing more to try.")
    suggestions: tuple[Proposed, ...] = about(
        "Those that are no Trials yet, and the latest 32.", ()
    )


_STATE: Final = (
    Column("Type", "string", ".status.conditions[-1:].type"),
    Column("Status", "string", ".status.conditions[-1:].status"),
)
EXPERIMENT_COLUMNS: Final = (
    *_STATE,
    Column("Trials", "integer", ".status.trials", priority=1),
    Column("Optimal", "string", ".status.currentOptimalTrial.bestTrialName", priority=1),
)
TRIAL_COLUMNS: Final = _STATE
SUGGESTION_COLUMNS: Final = (
    *_STATE,
    Column("Requested", "string", ".spec.requests"),
    Column("Assigned", "string", ".status.suggestionCount"),
)

"""The messages of ``api.v1.beta1``, as classes.

Source: kubeflow/katib 0.19, ``pkg/apis/manager/v1beta1/api.proto`` (names and numbers). They are built
here rather than by a compiler, from tables in the form of `wherry.objects.message_tables`.
"""

from typing import Any, Final

from wherry.objects import message_classes, message_tables

PACKAGE: Final = "api.v1.beta1"

_MESSAGES: Final = {
    "Experiment": "1 string name, 2 ExperimentSpec spec",
    "ExperimentSpec": "1 ExperimentSpec.ParameterSpecs parameter_specs, 2 ObjectiveSpec objective, "
    "3 AlgorithmSpec algorithm, 4 EarlyStoppingSpec early_stopping, 5 int32 parallel_trial_count, "
    "6 int32 max_trial_count, 7 NasConfig nas_config",
    "ExperimentSpec.ParameterSpecs": "1 ParameterSpec* parameters",
    "ParameterSpec": "1 string name, 2 ParameterType parameter_type, 3 FeasibleSpace feasible_space",
    "FeasibleSpace": "1 string max, 2 string min, 3 string* list, 4 string step, "
    "5 Distribution distribution",
    "ObjectiveSpec": "1 ObjectiveType type, 2 double goal, 3 string objective_metric_name, "
    "4 string* additional_metric_names",
    "AlgorithmSpec": "1 string algorithm_name, 2 AlgorithmSetting* algorithm_settings",
    "AlgorithmSetting": "1 string name, 2 string value",
    "EarlyStoppingSpec": "1 string algorithm_name, 2 EarlyStoppingSetting* algorithm_settings",
    "EarlyStoppingSetting": "1 string name, 2 string value",
    "NasConfig": "1 GraphConfig graph_config, 2 NasConfig.Operations operations",
    "NasConfig.Operations": "1 Operation* operation",
    "GraphConfig": "1 int32 num_layers, 2 int32* input_sizes, 3 int32* output_sizes",
    "Operation": "1 string operation_type, 2 Operation.ParameterSpecs parameter_specs",
    "Operation.ParameterSpecs": "1 ParameterSpec* parameters",
    "Trial": "1 string name, 2 TrialSpec spec, 3 TrialStatus status",
    "TrialSpec": "2 ObjectiveSpec objective, 3 TrialSpec.ParameterAssignments parameter_assignments, "
    "4 map:string labels",
    "TrialSpec.ParameterAssignments": "1 ParameterAssignment* assignments",
    "ParameterAssignment": "1 string name, 2 string value",
    "TrialStatus": "1 string start_time, 2 string completion_time, "
    "3 TrialStatus.TrialConditionType condition, 4 Observation observation",
    "Observation": "1 Metric* metrics",
    "Metric": "1 string name, 2 string value",
    "ReportObservationLogRequest": "1 string trial_name, 2 ObservationLog observation_log",
    "ReportObservationLogReply": "",
    "ObservationLog": "1 MetricLog* metric_logs",
    "MetricLog": "1 string time_stamp, 2 Metric metric",
    "GetObservationLogRequest": "1 string trial_name, 2 string metric_name, 3 string start_time, "
    "4 string end_time",
    "GetObservationLogReply": "1 ObservationLog observation_log",
    "DeleteObservationLogRequest": "1 string trial_name",
    "DeleteObservationLogReply": "",
    "GetSuggestionsRequest": "1 Experiment experiment, 2 Trial* trials, "
    "4 int32 current_request_number, 5 int32 total_request_number",
    "GetSuggestionsReply": "1 GetSuggestionsReply.ParameterAssignments* parameter_assignments, "
    "2 AlgorithmSpec algorithm, 3 EarlyStoppingRule* early_stopping_rules",
    "GetSuggestionsReply.ParameterAssignments": "1 ParameterAssignment* assignments, "
    "2 string trial_name, 3 map:string labels",
    "ValidateAlgorithmSettingsRequest": "1 Experiment experiment",
    "ValidateAlgorithmSettingsReply": "",
    "GetEarlyStoppingRulesRequest": "1 Experiment experiment, 2 Trial* trials, "
    "3 string db_manager_address",
    "GetEarlyStoppingRulesReply": "1 EarlyStoppingRule* early_stopping_rules",
    "EarlyStoppingRule": "1 string name, 2 string value, 3 ComparisonType comparison, "
    "4 int32 start_step",
    "ValidateEarlyStoppingSettingsRequest": "1 EarlyStoppingSpec early_stopping",
    "ValidateEarlyStoppingSettingsReply": "",
    "SetTrialStatusRequest": "1 string trial_name",
    "SetTrialStatusReply": "",
}
_ENUMS: Final = {
    "ParameterType": "UNKNOWN_TYPE DOUBLE INT DISCRETE CATEGORICAL",
    "Distribution": "DISTRIBUTION_UNSPECIFIED UNIFORM LOG_UNIFORM NORMAL LOG_NORMAL",
    "ObjectiveType": "UNKNOWN MINIMIZE MAXIMIZE",
    "ComparisonType": "UNKNOWN_COMPARISON EQUAL LESS GREATER",
    "TrialStatus.TrialConditionType": "CREATED RUNNING SUCCEEDED KILLED FAILED METRICSUNAVAILABLE "
    "EARLYSTOPPED UNKNOWN",
}
_HEALTH: Final = {
    "HealthCheckRequest": "1 string service",
    "HealthCheckResponse": "1 Serving status",
}
_HEALTH_ENUMS: Final = {"Serving": "UNKNOWN SERVING NOT_SERVING SERVICE_UNKNOWN"}


def _classes(package: str, messages: dict[str, str], enums: dict[str, str]) -> dict[str, Any]:
    return message_classes.classes(
        package, message_tables.messages(messages), message_tables.enumerations(enums)
    )


MESSAGES: Final = _classes(PACKAGE, _MESSAGES, _ENUMS)
HEALTH: Final = _classes("grpc.health.v1", _HEALTH, _HEALTH_ENUMS)
_NUMBERS: Final = message_tables.enumerations(_ENUMS)


def new(kind: str, /, **fields: Any) -> Any:
    """Return a message of ``api.v1.beta1``."""
    return MESSAGES[kind](**fields)


def number(enum: str, name: str) -> int:
    """Return the number of an enumeration's value; 0 where there is none of that name."""
    return _NUMBERS[enum].get(name, 0)


def name(enum: str, number: int) -> str:
    """Return the name of an enumeration's value; that of 0 where there is none of that number."""
    names = [*_NUMBERS[enum]]
    return names[number] if 0 <= number < len(names) else names[0]

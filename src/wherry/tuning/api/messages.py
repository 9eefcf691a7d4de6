"""The messages of ``api.v1.beta1``, as classes.

Source: kubeflow/katib 0.19, ``pkg/apis/manager/v1beta1/api.proto`` (names and numbers). They are built
here rather than by a compiler: a line a message, nothing generated to be kept. They live in a pool of
their own, so that Katib's own classes can be loaded beside them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE: Final = "api.v1.beta1"

# Number, type and name of each field; `*` repeats, `map` is text by text. A dot: within the message.
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
    "4 map labels",
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
    "2 string trial_name, 3 map labels",
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
    "ParameterType": ("UNKNOWN_TYPE", "DOUBLE", "INT", "DISCRETE", "CATEGORICAL"),
    "Distribution": ("DISTRIBUTION_UNSPECIFIED", "UNIFORM", "LOG_UNIFORM", "NORMAL", "LOG_NORMAL"),
    "ObjectiveType": ("UNKNOWN", "MINIMIZE", "MAXIMIZE"),
    "ComparisonType": ("UNKNOWN_COMPARISON", "EQUAL", "LESS", "GREATER"),
    "TrialStatus.TrialConditionType": (
        "CREATED",
        "RUNNING",
        "SUCCEEDED",
        "KILLED",
        "FAILED",
        "METRICSUNAVAILABLE",
        "EARLYSTOPPED",
        "UNKNOWN",
    ),
}
_HEALTH: Final = {
    "HealthCheckRequest": "1 string service",
    "HealthCheckResponse": "1 Serving status",
}
_HEALTH_ENUMS: Final = {"Serving": ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")}

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "string": _Field.TYPE_STRING,
    "int32": _Field.TYPE_INT32,
    "double": _Field.TYPE_DOUBLE,
}
_POOL: Final = descriptor_pool.DescriptorPool()


def _file(
    package: str, messages: Mapping[str, str], enums: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Build the classes of a package, by name; those within another by both names with a dot."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    made: dict[str, Any] = {}
    for name, fields in messages.items():
        outer, _, inner = name.rpartition(".")
        made[name] = (made[outer].nested_type if outer else file.message_type).add(name=inner)
        for field in _fields(package, name, fields, enums):
            made[name].field.append(field)
            if field.type_name.endswith(f"{name}.{_entry(field.name)}"):
                made[name].nested_type.append(_map_entry(field.name))
    for name, values in enums.items():
        outer, _, inner = name.rpartition(".")
        enum = (made[outer].enum_type if outer else file.enum_type).add(name=inner)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    _POOL.Add(file)
    return {
        name: message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


def _fields(
    package: str, message: str, text: str, enums: Mapping[str, tuple[str, ...]]
) -> Iterator[descriptor_pb2.FieldDescriptorProto]:
    for each in filter(None, text.split(", ")):
        number, kind, name = each.split()
        field = _Field(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
        if kind.endswith("*") or kind == "map":
            field.label = _Field.LABEL_REPEATED
        kind = kind.removesuffix("*")
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
        else:
            field.type = _Field.TYPE_ENUM if kind in enums else _Field.TYPE_MESSAGE
            within = f"{message}.{_entry(name)}" if kind == "map" else kind
            field.type_name = f".{package}.{within}"
        yield field


def _entry(field: str) -> str:
    return f"{field.title()}Entry"


def _map_entry(field: str) -> descriptor_pb2.DescriptorProto:
    entry = descriptor_pb2.DescriptorProto(name=_entry(field))
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(
            name=name, number=number, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL
        )
    entry.options.map_entry = True
    return entry


MESSAGES: Final = _file(PACKAGE, _MESSAGES, _ENUMS)
HEALTH: Final = _file("grpc.health.v1", _HEALTH, _HEALTH_ENUMS)


def new(kind: str, /, **fields: Any) -> Any:
    """Return a message of ``api.v1.beta1``."""
    return MESSAGES[kind](**fields)


def number(enum: str, name: str) -> int:
    """Return the number of an enumeration's value; 0 where there is none of that name."""
    values = _ENUMS[enum]
    return values.index(name) if name in values else 0


def name(enum: str, number: int) -> str:
    """Return the name of an enumeration's value; that of 0 where there is none of that number."""
    values = _ENUMS[enum]
    return values[number] if 0 <= number < len(values) else values[0]

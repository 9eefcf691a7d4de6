"""The messages of the API: their fields, numbers and types. Pure.

Source: kubeflow/pipelines 2.17, ``backend/api/v2beta1/*.proto`` (names and numbers). What comes in and
goes out as JSON is checked against them (`wire`), protocol buffers are made of them (`rpc`), and so is the
published description. Their form is that of `wherry.objects.message_tables`.
"""

from collections.abc import Mapping
from typing import Final

from wherry.objects import message_tables
from wherry.objects.message_tables import Field
from wherry.pipelines.api import v1beta1_tables

_RUN_ID: Final = "1 string experiment_id, 2 string run_id"
_ARTIFACT_ID: Final = "1 int64 artifact_id"
_TABLE: Final = {
    "Empty": "",
    "Status": "1 int32 code, 2 string message, 3 Any* details",
    "GetHealthzResponse": "3 bool multi_user, 4 string pipeline_store",
    "AuthorizeRequest": "1 string namespace, 2 AuthorizeRequest.Resources resources, "
    "3 AuthorizeRequest.Verb verb",
    "Filter": "1 Predicate* predicates",
    "Predicate": "1 Predicate.Operation operation, 2 string key, 3 int32 int_value @value, "
    "4 int64 long_value @value, 5 string string_value @value, 6 Timestamp timestamp_value @value, "
    "7 Predicate.IntValues int_values @value, 8 Predicate.LongValues long_values @value, "
    "9 Predicate.StringValues string_values @value",
    "Predicate.IntValues": "1 int32* values",
    "Predicate.StringValues": "2 string* values",
    "Predicate.LongValues": "3 int64* values",
    "RuntimeConfig": "1 map:Value parameters, 2 string pipeline_root",
    "Experiment": "1 string experiment_id, 2 string display_name, 3 string description, "
    "4 Timestamp created_at, 5 string namespace, 6 Experiment.StorageState storage_state, "
    "7 Timestamp last_run_created_at",
    "CreateExperimentRequest": "1 Experiment experiment",
    "GetExperimentRequest": "1 string experiment_id",
    "ListExperimentsRequest": "1 string page_token, 2 int32 page_size, 3 string sort_by, "
    "4 string filter, 5 string namespace",
    "ListExperimentsResponse": "1 Experiment* experiments, 3 int32 total_size, "
    "2 string next_page_token",
    "DeleteExperimentRequest": "1 string experiment_id",
    "ArchiveExperimentRequest": "1 string experiment_id",
    "UnarchiveExperimentRequest": "1 string experiment_id",
    "Run": "1 string experiment_id, 2 string run_id, 3 string display_name, "
    "4 Run.StorageState storage_state, 5 string description, "
    "6 string pipeline_version_id @pipeline_source, 7 Struct pipeline_spec @pipeline_source, "
    "18 PipelineVersionReference pipeline_version_reference @pipeline_source, "
    "8 RuntimeConfig runtime_config, 9 string service_account, 10 Timestamp created_at, "
    "11 Timestamp scheduled_at, 12 Timestamp finished_at, 13 RuntimeState state, 14 Status error, "
    "15 RunDetails run_details, 16 string recurring_run_id, 17 RuntimeStatus* state_history, "
    "19 map:Struct plugins_input, 20 map:PluginOutput plugins_output",
    "PipelineVersionReference": "1 string pipeline_id, 2 string pipeline_version_id",
    "RuntimeStatus": "1 Timestamp update_time, 2 RuntimeState state, 3 Status error",
    "MetadataValue": "1 Value value, 2 MetadataValue.RenderType render_type @_render_type",
    "PluginOutput": "1 map:MetadataValue entries, 2 PluginState state, 3 string state_message",
    "RunDetails": "1 int64 pipeline_context_id, 2 int64 pipeline_run_context_id, "
    "3 PipelineTaskDetail* task_details",
    "PipelineTaskDetail": "1 string run_id, 2 string task_id, 3 string display_name, "
    "4 Timestamp create_time, 5 Timestamp start_time, 6 Timestamp end_time, "
    "7 PipelineTaskExecutorDetail executor_detail, 8 RuntimeState state, 9 int64 execution_id, "
    "10 Status error, 11 map:ArtifactList inputs, 12 map:ArtifactList outputs, "
    "13 string parent_task_id, 14 RuntimeStatus* state_history, 15 string pod_name, "
    "16 PipelineTaskDetail.ChildTask* child_tasks",
    "PipelineTaskDetail.ChildTask": "1 string task_id @child_task, 2 string pod_name @child_task",
    "PipelineTaskExecutorDetail": "1 string main_job, 2 string pre_caching_check_job, "
    "3 string* failed_main_jobs, 4 string* failed_pre_caching_check_jobs",
    "ArtifactList": "1 int64* artifact_ids",
    "CreateRunRequest": "1 string experiment_id, 2 Run run",
    "GetRunRequest": _RUN_ID,
    "ListRunsRequest": "1 string namespace, 2 string experiment_id, 3 string page_token, "
    "4 int32 page_size, 5 string sort_by, 6 string filter",
    "ListRunsResponse": "1 Run* runs, 2 int32 total_size, 3 string next_page_token",
    "TerminateRunRequest": _RUN_ID,
    "ArchiveRunRequest": _RUN_ID,
    "UnarchiveRunRequest": _RUN_ID,
    "DeleteRunRequest": _RUN_ID,
    "RetryRunRequest": _RUN_ID,
    "Pipeline": "1 string pipeline_id, 2 string display_name, 7 string name, 3 string description, "
    "4 Timestamp created_at, 5 string namespace, 6 Status error, 8 map:string tags",
    "PipelineVersion": "1 string pipeline_id, 2 string pipeline_version_id, 3 string display_name, "
    "10 string name, 4 string description, 5 Timestamp created_at, 6 Url package_url, "
    "9 string code_source_url, 7 Struct pipeline_spec, 8 Status error, 11 map:string tags",
    "Url": "1 string pipeline_url",
    "CreatePipelineRequest": "1 Pipeline pipeline",
    "GetPipelineRequest": "1 string pipeline_id",
    "ListPipelinesRequest": "1 string namespace, 2 string page_token, 3 int32 page_size, "
    "4 string sort_by, 5 string filter",
    "ListPipelinesResponse": "1 Pipeline* pipelines, 2 int32 total_size, 3 string next_page_token",
    "GetPipelineByNameRequest": "1 string namespace, 2 string name",
    "DeletePipelineRequest": "1 string pipeline_id, 2 bool cascade",
    "CreatePipelineAndVersionRequest": "1 Pipeline pipeline, 2 PipelineVersion pipeline_version",
    "CreatePipelineVersionRequest": "1 string pipeline_id, 2 PipelineVersion pipeline_version",
    "GetPipelineVersionRequest": "1 string pipeline_id, 2 string pipeline_version_id",
    "ListPipelineVersionsRequest": "1 string pipeline_id, 2 string page_token, 3 int32 page_size, "
    "4 string sort_by, 5 string filter",
    "ListPipelineVersionsResponse": "1 PipelineVersion* pipeline_versions, "
    "2 string next_page_token, 3 int32 total_size",
    "DeletePipelineVersionRequest": "1 string pipeline_id, 2 string pipeline_version_id",
    "UpdatePipelineRequest": "1 Pipeline pipeline",
    "UpdatePipelineVersionRequest": "1 PipelineVersion pipeline_version",
    "RecurringRun": "1 string recurring_run_id, 2 string display_name, 3 string description, "
    "4 string pipeline_version_id @pipeline_source, 5 Struct pipeline_spec @pipeline_source, "
    "18 PipelineVersionReference pipeline_version_reference @pipeline_source, "
    "6 RuntimeConfig runtime_config, 7 string service_account, 8 int64 max_concurrency, "
    "9 Trigger trigger, 10 RecurringRun.Mode mode, 11 Timestamp created_at, "
    "12 Timestamp updated_at, 13 RecurringRun.Status status, 14 Status error, 15 bool no_catchup, "
    "16 string namespace, 17 string experiment_id, 19 map:Struct plugins_input",
    "Trigger": "1 CronSchedule cron_schedule @trigger, 2 PeriodicSchedule periodic_schedule @trigger",
    "CronSchedule": "1 Timestamp start_time, 2 Timestamp end_time, 3 string cron",
    "PeriodicSchedule": "1 Timestamp start_time, 2 Timestamp end_time, 3 int64 interval_second",
    "CreateRecurringRunRequest": "1 RecurringRun recurring_run",
    "GetRecurringRunRequest": "1 string recurring_run_id",
    "ListRecurringRunsRequest": "1 string page_token, 2 int32 page_size, 3 string sort_by, "
    "4 string namespace, 5 string filter, 6 string experiment_id",
    "ListRecurringRunsResponse": "1 RecurringRun* recurringRuns, 2 int32 total_size, "
    "3 string next_page_token",
    "EnableRecurringRunRequest": "1 string recurring_run_id",
    "DisableRecurringRunRequest": "1 string recurring_run_id",
    "DeleteRecurringRunRequest": "1 string recurring_run_id, "
    "2 DeletePropagationPolicy propagation_policy",
    "Visualization": "1 Visualization.Type type, 2 string source, 3 string arguments, "
    "4 string html, 5 string error",
    "CreateVisualizationRequest": "1 Visualization visualization, 2 string namespace",
    "ReadArtifactRequest": "1 string run_id, 2 string node_id, 3 string artifact_name",
    "ReadArtifactResponse": "1 bytes data",
    "ReportWorkflowRequest": "1 string workflow",
    "ReportScheduledWorkflowRequest": "1 string scheduled_workflow",
    "UploadPipelineRequest": "1 bytes uploadfile, 2 string filename, 3 string name, "
    "4 string display_name, 5 string description, 6 string namespace, 7 string tags",
    "UploadPipelineVersionRequest": "1 bytes uploadfile, 2 string filename, 3 string name, "
    "4 string display_name, 5 string description, 6 string pipelineid, 7 string code_source_url, "
    "8 string tags",
}
# Ours: what upstream has no calls for.
_OWN_TABLE: Final = {
    "GetLineageRequest": "2 int64 artifact_id, 3 int64 execution_id, "
    "4 string run_id, 5 int32 up, 6 int32 down, 7 int32 limit, 8 string uri, 9 string namespace",
    "Lineage": "1 Artifact* artifacts, 2 Execution* executions, 3 Event* events, 4 bool complete",
    "Artifact": "1 int64 artifact_id, 2 string namespace, 3 string type, 4 string name, "
    "5 string uri, 6 Struct metadata, 7 Timestamp created_at",
    "Execution": "1 int64 execution_id, 2 string namespace, 3 string type, 4 string name, "
    "5 string pipeline, 6 string run_id, 7 string path, 8 string state, 9 string fingerprint, "
    "10 int64 cached_from, 11 string cache_reason, 12 Timestamp created_at, "
    "13 Timestamp started_at, 14 Timestamp ended_at, 15 string error, 16 map:Value inputs, "
    "17 map:Value outputs, 18 string cache_key, 19 int32 attempt, 20 string pod, 21 string run_name",
    "Event": "1 int64 execution_id, 2 int64 artifact_id, 3 Event.Type type, 4 string name, "
    "5 int32 index",
    "ListCachedRequest": "1 string namespace, 2 string pipeline, 3 string name, 4 string run_id, "
    "5 int32 page_size, 6 string page_token, 7 string key, 8 Timestamp before",
    "ListCachedResponse": "1 Execution* executions, 2 string next_page_token",
    "ForgetCachedRequest": "1 string namespace, 2 string pipeline, 3 string name, 4 string run_id, "
    "5 string key, 6 Timestamp before",
    "ForgetCachedResponse": "1 int32 forgotten",
    "ListReasonsRequest": "1 string run_id",
    "ReadLogRequest": "1 string run_id, 2 string task, 3 string attempt",
    "ReadLogResponse": "1 string text",
    "StreamLogRequest": "1 string run_id, 2 string task, 3 string attempt, 4 bool follow",
    "RetryStepsRequest": "1 string run_id, 2 string* from_tasks",
    "ListReasonsResponse": "1 Reason* reasons",
    "ListArtifactsRequest": "1 string namespace, 2 string type, 3 string name, 4 string uri, "
    "5 string run_id, 6 int32 page_size, 7 string page_token",
    "ListArtifactsResponse": "1 Artifact* artifacts, 2 string next_page_token",
    "GetArtifactRequest": _ARTIFACT_ID,
    "VisualizeArtifactRequest": _ARTIFACT_ID,
    "VisualizeArtifactResponse": "1 string html, 2 Struct data",
    "GetArtifactContentRequest": f"{_ARTIFACT_ID}, 2 int64 expires, 3 string signature",
    "SignArtifactRequest": f"{_ARTIFACT_ID}, 2 int32 seconds",
    "SignArtifactResponse": "1 string url, 2 Timestamp expires_at",
    "Reason": "1 int64 execution_id, 2 string path, 3 string reason, 4 bool hit, "
    "5 Execution compared, 6 string* differences",
}
_STORAGE: Final = "STORAGE_STATE_UNSPECIFIED AVAILABLE ARCHIVED"
_ENUM_TABLE: Final = {
    "AuthorizeRequest.Resources": "UNASSIGNED_RESOURCES VIEWERS",
    "AuthorizeRequest.Verb": "UNASSIGNED_VERB CREATE GET DELETE",
    "Predicate.Operation": "OPERATION_UNSPECIFIED EQUALS NOT_EQUALS GREATER_THAN "
    "GREATER_THAN_EQUALS=5 LESS_THAN LESS_THAN_EQUALS IN IS_SUBSTRING",
    "Experiment.StorageState": _STORAGE,
    "Run.StorageState": _STORAGE,
    "RuntimeState": "RUNTIME_STATE_UNSPECIFIED PENDING RUNNING SUCCEEDED SKIPPED FAILED CANCELING "
    "CANCELED PAUSED",
    "MetadataValue.RenderType": "UNSPECIFIED URL",
    "PluginState": "PLUGIN_STATE_UNSPECIFIED PLUGIN_RUNNING PLUGIN_SUCCEEDED PLUGIN_FAILED",
    "RecurringRun.Mode": "MODE_UNSPECIFIED ENABLE DISABLE",
    "RecurringRun.Status": "STATUS_UNSPECIFIED ENABLED DISABLED=3",
    "DeletePropagationPolicy": "DELETE_PROPAGATION_POLICY_UNSPECIFIED FOREGROUND BACKGROUND ORPHAN",
    "Event.Type": "TYPE_UNSPECIFIED INPUT OUTPUT",
    "Visualization.Type": "ROC_CURVE TFDV TFMA TABLE CUSTOM",
}

MESSAGES: Final[Mapping[str, tuple[Field, ...]]] = message_tables.messages(
    {**_TABLE, **_OWN_TABLE, **v1beta1_tables.MESSAGES}
)
ENUMS: Final[Mapping[str, Mapping[str, int]]] = message_tables.enumerations(
    {**_ENUM_TABLE, **v1beta1_tables.ENUMS}
)

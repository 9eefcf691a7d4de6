"""Messages and methods of v1beta1, which are answered by those of v2beta1. Pure.

Source: kubeflow/pipelines 2.17, ``backend/api/v1beta1/*.proto``. Names have ``V1`` before them, for both
versions have a ``Run``.
"""

from typing import Final

PREFIX: Final = "/apis/v1beta1"
ALPHA_PREFIX: Final = "/apis/v1alpha1"
_PAGE: Final = "1 string page_token, 2 int32 page_size, 3 string sort_by, "
_PAGE_OF: Final = f"{_PAGE}4 string filter, 5 V1ResourceKey resource_reference_key"
_RUN_PAGE: Final = f"{_PAGE}4 V1ResourceKey resource_reference_key, 5 string filter"
_ID: Final = "1 string id"
_RUN_ID: Final = "1 string run_id"
_VERSION_ID: Final = "1 string version_id"
_REPORTED: Final = "ReportRunMetricsV1Response.ReportRunMetricResult"
_REFERENCES: Final = "V1ResourceReference* resource_references"

MESSAGES: Final = {
    "V1Parameter": "1 string name, 2 string value",
    "V1ResourceKey": "1 V1ResourceType type, 2 string id",
    "V1ResourceReference": "1 V1ResourceKey key, 3 string name, 2 V1Relationship relationship",
    "V1PipelineSpec": "1 string pipeline_id, 5 string pipeline_name, 2 string workflow_manifest, "
    "3 string pipeline_manifest, 4 V1Parameter* parameters, 6 RuntimeConfig runtime_config",
    "GetHealthzV1Response": "1 string commit_sha, 2 string tag_name, 3 bool multi_user",
    "V1Experiment": "1 string id, 2 string name, 3 string description, 4 Timestamp created_at, "
    f"5 {_REFERENCES}, 6 V1Experiment.StorageState storage_state",
    "CreateExperimentV1Request": "1 V1Experiment experiment",
    "GetExperimentV1Request": _ID,
    "ListExperimentsV1Request": _PAGE_OF,
    "ListExperimentsV1Response": "1 V1Experiment* experiments, 3 int32 total_size, "
    "2 string next_page_token",
    "DeleteExperimentV1Request": _ID,
    "ArchiveExperimentV1Request": _ID,
    "UnarchiveExperimentV1Request": _ID,
    "V1Run": "1 string id, 2 string name, 10 V1Run.StorageState storage_state, "
    f"3 string description, 4 V1PipelineSpec pipeline_spec, 5 {_REFERENCES}, "
    "14 string service_account, 6 Timestamp created_at, 7 Timestamp scheduled_at, "
    "13 Timestamp finished_at, 8 string status, 12 string error, 9 V1RunMetric* metrics",
    "V1RunMetric": "1 string name, 2 string node_id, 3 double number_value @value, "
    "4 V1RunMetric.Format format",
    "ReportRunMetricsV1Request": "1 string run_id, 2 V1RunMetric* metrics",
    "ReportRunMetricsV1Response": f"1 {_REPORTED}* results",
    _REPORTED: "1 string metric_name, 2 string metric_node_id, "
    f"3 {_REPORTED}.Status status, 4 string message",
    "V1PipelineRuntime": "10 string pipeline_manifest, 11 string workflow_manifest",
    "V1RunDetail": "1 V1Run run, 2 V1PipelineRuntime pipeline_runtime",
    "CreateRunV1Request": "1 V1Run run",
    "GetRunV1Request": _RUN_ID,
    "ListRunsV1Request": _RUN_PAGE,
    "ListRunsV1Response": "1 V1Run* runs, 3 int32 total_size, 2 string next_page_token",
    "ArchiveRunV1Request": _ID,
    "UnarchiveRunV1Request": _ID,
    "DeleteRunV1Request": _ID,
    "TerminateRunV1Request": _RUN_ID,
    "RetryRunV1Request": _RUN_ID,
    "V1Job": "1 string id, 2 string name, 3 string description, 4 V1PipelineSpec pipeline_spec, "
    f"5 {_REFERENCES}, 18 string service_account, 6 int64 max_concurrency, 7 Trigger trigger, "
    "8 V1Job.Mode mode, 9 Timestamp created_at, 10 Timestamp updated_at, 11 string status, "
    "12 string error, 16 bool enabled, 17 bool no_catchup",
    "CreateJobRequest": "1 V1Job job",
    "GetJobRequest": _ID,
    "ListJobsRequest": _RUN_PAGE,
    "ListJobsResponse": "1 V1Job* jobs, 3 int32 total_size, 2 string next_page_token",
    "EnableJobRequest": _ID,
    "DisableJobRequest": _ID,
    "DeleteJobRequest": _ID,
    "V1Pipeline": "1 string id, 2 Timestamp created_at, 3 string name, 4 string description, "
    "5 V1Parameter* parameters, 7 Url url, 6 string error, 8 V1PipelineVersion default_version, "
    f"9 {_REFERENCES}",
    "V1PipelineVersion": "1 string id, 2 string name, 3 Timestamp created_at, "
    "4 V1Parameter* parameters, 5 string code_source_url, 6 Url package_url, "
    f"7 {_REFERENCES}, 8 string description",
    "CreatePipelineV1Request": "1 V1Pipeline pipeline",
    "GetPipelineV1Request": _ID,
    "GetPipelineByNameV1Request": "1 string name, 2 string namespace",
    "ListPipelinesV1Request": _PAGE_OF,
    "ListPipelinesV1Response": "1 V1Pipeline* pipelines, 3 int32 total_size, "
    "2 string next_page_token",
    "DeletePipelineV1Request": _ID,
    "GetTemplateRequest": _ID,
    "V1Template": "1 string template",
    "CreatePipelineVersionV1Request": "1 V1PipelineVersion version",
    "GetPipelineVersionV1Request": _VERSION_ID,
    "ListPipelineVersionsV1Request": "1 V1ResourceKey resource_key, 2 int32 page_size, "
    "3 string page_token, 4 string sort_by, 5 string filter",
    "ListPipelineVersionsV1Response": "1 V1PipelineVersion* versions, 2 string next_page_token, "
    "3 int32 total_size",
    "DeletePipelineVersionV1Request": _VERSION_ID,
    "GetPipelineVersionTemplateRequest": _VERSION_ID,
    "UpdatePipelineDefaultVersionV1Request": "1 string pipeline_id, 2 string version_id",
    "V1Task": "1 string id, 2 string namespace, 3 string pipelineName, 4 string runId, "
    "5 string mlmdExecutionID, 6 Timestamp created_at, 7 Timestamp finished_at, 8 string fingerprint",
    "CreateTaskV1Request": "1 V1Task task",
    "ListTasksV1Request": _RUN_PAGE,
    "ListTasksV1Response": "1 V1Task* tasks, 3 int32 total_size, 2 string next_page_token",
    "ReadRunLogV1Request": "1 string run_id, 2 string node_id, 3 bool follow",
}
ENUMS: Final = {
    "V1ResourceType": "UNKNOWN_RESOURCE_TYPE EXPERIMENT JOB PIPELINE PIPELINE_VERSION NAMESPACE",
    "V1Relationship": "UNKNOWN_RELATIONSHIP OWNER CREATOR",
    "V1Experiment.StorageState": "STORAGESTATE_UNSPECIFIED STORAGESTATE_AVAILABLE "
    "STORAGESTATE_ARCHIVED",
    "V1Run.StorageState": "STORAGESTATE_AVAILABLE STORAGESTATE_ARCHIVED",
    "V1Job.Mode": "UNKNOWN_MODE ENABLED DISABLED",
    "V1RunMetric.Format": "UNSPECIFIED RAW PERCENTAGE",
    f"{_REPORTED}.Status": "UNSPECIFIED OK INVALID_ARGUMENT DUPLICATE_REPORTING INTERNAL_ERROR",
}
METHODS: Final = {
    ("HealthzService", "", "/healthz"): """
        GetHealthzV1 GET . - +
    """,
    ("AuthService", "", "/auth"): """
        AuthorizeV1 GET . -
    """,
    ("ExperimentService", "experiments", "/experiments"): """
        CreateExperimentV1 POST .<experiment create V1Experiment
        GetExperimentV1 GET /{id} get V1Experiment
        ListExperimentsV1 GET . list +
        ArchiveExperimentV1 POST /{id}:archive archive
        UnarchiveExperimentV1 POST /{id}:unarchive unarchive
        DeleteExperimentV1 DELETE /{id} delete
    """,
    ("RunService", "runs", "/runs"): """
        CreateRunV1 POST .<run create V1RunDetail
        GetRunV1 GET /{run_id} get V1RunDetail
        ListRunsV1 GET . list +
        ArchiveRunV1 POST /{id}:archive archive
        UnarchiveRunV1 POST /{id}:unarchive unarchive
        DeleteRunV1 DELETE /{id} delete
        TerminateRunV1 POST /{run_id}/terminate terminate
        RetryRunV1 POST /{run_id}/retry retry
        ReportRunMetricsV1 POST /{run_id}:reportMetrics<* reportMetrics +
    """,
    ("JobService", "jobs", "/jobs"): """
        CreateJob POST .<job create V1Job
        GetJob GET /{id} get V1Job
        ListJobs GET . list +
        EnableJob POST /{id}/enable enable
        DisableJob POST /{id}/disable disable
        DeleteJob DELETE /{id} delete
    """,
    ("PipelineService", "pipelines", "/pipelines"): """
        CreatePipelineV1 POST .<pipeline create V1Pipeline
        GetPipelineV1 GET /{id} get V1Pipeline
        ListPipelinesV1 GET . list +
        DeletePipelineV1 DELETE /{id} delete
        GetTemplate GET /{id}/templates get V1Template
        UpdatePipelineDefaultVersionV1 POST /{pipeline_id}/default_version/{version_id} update
    """,
    ("PipelineService", "pipelines", "/namespaces/{namespace}/pipelines"): """
        GetPipelineByNameV1 GET /{name} get V1Pipeline
    """,
    ("PipelineService", "pipelines", "/pipeline_versions"): """
        CreatePipelineVersionV1 POST .<version create V1PipelineVersion
        GetPipelineVersionV1 GET /{version_id} get V1PipelineVersion
        ListPipelineVersionsV1 GET . list +
        DeletePipelineVersionV1 DELETE /{version_id} delete
        GetPipelineVersionTemplate GET /{version_id}/templates get V1Template
    """,
    ("PipelineUploadService", "pipelines", "/pipelines"): """
        UploadPipelineV1 POST /upload create V1Pipeline
        UploadPipelineVersionV1 POST /upload_version create V1PipelineVersion
    """,
    ("ReportService", "workflows", "/workflows"): """
        ReportWorkflowV1 POST .<workflow report
    """,
    ("ReportService", "scheduledworkflows", "/scheduledworkflows"): """
        ReportScheduledWorkflowV1 POST .<scheduled_workflow report
    """,
    ("RunArtifactService", "runs", "/runs/{run_id}/nodes/{node_id}/artifacts"): """
        ReadArtifactV1 GET /{artifact_name}:read readArtifact ReadArtifactResponse
    """,
    ("VisualizationServiceV1", "visualizations", "/visualizations"): """
        CreateVisualization POST /{namespace}<visualization create Visualization
    """,
}
ALPHA_METHODS: Final = {
    ("TaskService", "runs", "/tasks"): """
        CreateTaskV1 POST .<task create V1Task
        ListTasksV1 GET . list +
    """,
    ("RunLogService", "runs", "/runs/{run_id}/nodes/{node_id}"): """
        ReadRunLogV1 GET /log readArtifact Stream
    """,
}
REQUESTS: Final = {
    "GetHealthzV1": "Empty",
    "AuthorizeV1": "AuthorizeRequest",
    "UploadPipelineV1": "UploadPipelineRequest",
    "UploadPipelineVersionV1": "UploadPipelineVersionRequest",
    "ReportWorkflowV1": "ReportWorkflowRequest",
    "ReportScheduledWorkflowV1": "ReportScheduledWorkflowRequest",
    "ReadArtifactV1": "ReadArtifactRequest",
}
"""Names of requests that do not follow from the method's."""

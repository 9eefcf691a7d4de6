"""What can be called: each method's name, its place in REST, its messages and the right it takes. Pure.

Source: kubeflow/pipelines 2.17, ``backend/api/v2beta1/*.proto`` (names, paths) and
``backend/src/apiserver/common/const.go`` (resources and verbs of rights).
"""

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from wherry.pipelines.api import v1beta1_tables

PREFIX: Final = "/apis/v2beta1"
OWN_PREFIX: Final = "/apis/wherry.dev/v1"
"""Of what upstream does not have."""
EMPTY: Final = "Empty"
STREAM: Final = "Stream"
"""Response of methods that answer with bytes as they come, and not with a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One of them.

    Attributes:
        service: Such as ``RunService``; those of `OWN_PREFIX` are not upstream's.
        name: Such as ``CreateRun``.
        http: ``GET``, ``POST``, ``PATCH`` or ``DELETE``.
        path: In REST, with fields of the request in braces; of ``PATCH``, fields of what the body is.
        request: Name of its message.
        response: Name of its message; `EMPTY`: nothing; `STREAM`: bytes.
        body: The field that a REST call's body is; ``*``: the request itself; empty: it has none.
        resource: Of the right that is wanted for it, in the group pipelines.kubeflow.org.
        verb: Of that right.
    """

    service: str
    name: str
    http: str
    path: str
    request: str
    response: str
    body: str
    resource: str
    verb: str

    @property
    def key(self) -> str:
        """Such as ``RunService.CreateRun``: by which its handler is found."""
        return f"{self.service}.{self.name}"

    @property
    def is_stream(self) -> bool:
        """Whether it answers with bytes, which only REST can."""
        return self.response == STREAM


# Service, resource of its rights, and where in REST; then of each method: HTTP method, rest of the path,
# verb of the right and response (none: nothing; `+`: of the method's name). After `<`: what the body is.
_TABLE: Final = {
    ("HealthzService", "", "/healthz"): """
        GetHealthz GET . - +
    """,
    ("AuthService", "", "/auth"): """
        Authorize GET . -
    """,
    ("DummyFilterService", "", "/filters"): """
        GetFilter GET . - Filter
    """,
    ("ExperimentService", "experiments", "/experiments"): """
        CreateExperiment POST .<experiment create Experiment
        GetExperiment GET /{experiment_id} get Experiment
        ListExperiments GET . list +
        ArchiveExperiment POST /{experiment_id}:archive archive
        UnarchiveExperiment POST /{experiment_id}:unarchive unarchive
        DeleteExperiment DELETE /{experiment_id} delete
    """,
    ("PipelineService", "pipelines", "/pipelines"): """
        CreatePipeline POST .<pipeline create Pipeline
        GetPipeline GET /{pipeline_id} get Pipeline
        GetPipelineByName GET /names/{name} get Pipeline
        ListPipelines GET . list +
        UpdatePipeline PATCH /{pipeline_id}<pipeline update Pipeline
        DeletePipeline DELETE /{pipeline_id} delete
        CreatePipelineAndVersion POST /create<* create Pipeline
    """,
    ("PipelineService", "pipelines", "/pipelines/{pipeline_id}/versions"): """
        CreatePipelineVersion POST .<pipeline_version create PipelineVersion
        GetPipelineVersion GET /{pipeline_version_id} get PipelineVersion
        ListPipelineVersions GET . list +
        UpdatePipelineVersion PATCH /{pipeline_version_id}<pipeline_version update PipelineVersion
        DeletePipelineVersion DELETE /{pipeline_version_id} delete
    """,
    ("PipelineUploadService", "pipelines", "/pipelines"): """
        UploadPipeline POST /upload create Pipeline
        UploadPipelineVersion POST /upload_version create PipelineVersion
    """,
    ("RunService", "runs", "/runs"): """
        CreateRun POST .<run create Run
        GetRun GET /{run_id} get Run
        ListRuns GET . list +
        ArchiveRun POST /{run_id}:archive archive
        UnarchiveRun POST /{run_id}:unarchive unarchive
        DeleteRun DELETE /{run_id} delete
        TerminateRun POST /{run_id}:terminate terminate
        RetryRun POST /{run_id}:retry retry
    """,
    ("RecurringRunService", "jobs", "/recurringruns"): """
        CreateRecurringRun POST .<recurring_run create RecurringRun
        GetRecurringRun GET /{recurring_run_id} get RecurringRun
        ListRecurringRuns GET . list +
        EnableRecurringRun POST /{recurring_run_id}:enable enable
        DisableRecurringRun POST /{recurring_run_id}:disable disable
        DeleteRecurringRun DELETE /{recurring_run_id} delete
    """,
    ("VisualizationService", "visualizations", "/visualizations"): """
        CreateVisualizationV1 POST /{namespace}<visualization create Visualization
    """,
    ("ReportService", "workflows", "/workflows"): """
        ReportWorkflow POST .<workflow report
    """,
    ("ReportService", "scheduledworkflows", "/scheduledworkflows"): """
        ReportScheduledWorkflow POST .<scheduled_workflow report
    """,
    ("RunArtifactService", "runs", "/runs/{run_id}/nodes/{node_id}/artifacts"): """
        ReadArtifact GET /{artifact_name}:read readArtifact +
    """,
}
_OWN_TABLE: Final = {
    ("LineageService", "runs", "/lineage"): """
        GetLineage GET . get Lineage
    """,
    ("CacheService", "runs", "/cache"): """
        ListCached GET . list +
        ForgetCached POST :forget<* delete +
        ListReasons GET /reasons get +
    """,
    ("StepService", "runs", "/runs/{run_id}"): """
        ReadLog GET /log readArtifact +
        StreamLog GET /log/stream readArtifact Stream
        RetrySteps POST :retry<* retry
    """,
    ("ArtifactService", "runs", "/artifacts"): """
        ListArtifacts GET . list +
        GetArtifact GET /{artifact_id} get Artifact
        GetArtifactContent GET /{artifact_id}/content readArtifact Stream
        SignArtifact POST /{artifact_id}:sign<* readArtifact +
        VisualizeArtifact GET /{artifact_id}/visualization readArtifact +
    """,
}
_REQUESTS: Final = {
    "GetHealthz": EMPTY,
    "GetFilter": "Filter",
    "CreateVisualizationV1": "CreateVisualizationRequest",
    **v1beta1_tables.REQUESTS,
}
"""Of names that do not follow from the method's."""


def fields(path: str) -> list[str]:
    """Return the fields that a path names in braces."""
    return [name for _, name, _, _ in string.Formatter().parse(path) if name]


def _rows(prefix: str, table: Mapping[tuple[str, str, str], str]) -> Iterator[Method]:
    for (service, resource, where), text in table.items():
        for line in filter(None, map(str.strip, text.splitlines())):
            name, http, place, verb, *response = line.split()
            path, _, body = place.partition("<")
            yield Method(
                service=service,
                name=name,
                http=http,
                path=prefix + where + path.strip("."),
                request=_REQUESTS.get(name, f"{name}Request"),
                response=_response(name, *response),
                body=body,
                resource=resource,
                verb=verb.strip("-"),
            )


def _response(name: str, told: str = EMPTY) -> str:
    return f"{name}Response" if told == "+" else told


METHODS: Final = (
    *_rows(PREFIX, _TABLE),
    *_rows(v1beta1_tables.PREFIX, v1beta1_tables.METHODS),
    *_rows(v1beta1_tables.ALPHA_PREFIX, v1beta1_tables.ALPHA_METHODS),
    *_rows(OWN_PREFIX, _OWN_TABLE),
)

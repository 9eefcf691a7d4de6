"""Starting runs, and finding those there are."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

from wherry.client import clusters
from wherry.client.clusters import Api
from wherry.client.connections import Connection
from wherry.objects import errors
from wherry.pipelines import kinds, runs
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir import documents
from wherry.pipelines.ir.documents import Documents, PipelineError
from wherry.pipelines.sdk import pipelines, setting_names
from wherry.pipelines.sdk.components import Component
from wherry.pipelines.sdk.errors import CompileError, RunError
from wherry.pipelines.sdk.pipelines import AnyPipeline
from wherry.pipelines.sdk.running import Run


class Settings(TypedDict, total=False):
    """What `run` may be told, all optional."""

    name: str
    """Of the run; by default the pipeline's, with five letters more."""
    namespace: str
    """Where; by default the connection's."""
    connection: Connection | Path | str
    """Which cluster: one, or a kubeconfig; by default the Wherry that runs here, else as kubectl."""
    cache: bool
    """Whether earlier results are taken, for all tasks; by default as compiled, task by task."""
    cache_expiry_seconds: int
    """Earlier results that are older are not taken."""
    root: str
    """Where artifacts go, such as ``s3://bucket/folder``; by default the namespace's folder."""
    display_name: str
    """What people call it."""
    service_account: str
    """Of its pods."""
    timeout_seconds: int
    """After so long it fails."""


def run(
    pipeline: AnyPipeline | Component | Path | str,
    inputs: Mapping[str, Any] | None = None,
    /,
    **settings: Unpack[Settings],
) -> Run:
    """Start a run of a pipeline.

    Args:
        pipeline: A function with `pipeline`, a component, or the path of a compiled file (KFP's compiler makes them
            too).
        inputs: The pipeline's inputs, by name.
        **settings: See `Settings`.

    Returns:
        The run, which goes on when the caller ends; `find_run` finds it again by its name.

    Raises:
        CompileError: a setting is not known, the pipeline is none, or its inputs are not right.
        ConfigurationError: there is no cluster.
        RunError: the cluster has no such kind.
        InvalidError: the run is refused; the message says why.
    """
    setting_names.check("run", settings, Settings)
    read, name = _read(pipeline, inputs or {})
    cluster = clusters.choose(settings.get("connection"), settings.get("namespace", ""))
    name = settings.get("name") or runs.name_of(name, secrets.token_hex(8))
    wish = runs.Wish(
        parameters=dict(inputs or {}),
        root=settings.get("root", ""),
        cache=settings.get("cache"),
        cache_expiry=settings.get("cache_expiry_seconds"),
        display_name=settings.get("display_name", ""),
        service_account=settings.get("service_account", ""),
        timeout=settings.get("timeout_seconds"),
    )
    manifest = runs.manifest(read, wish, name=name, namespace=cluster.namespace)

    async def start(api: Api) -> None:
        try:
            await api.client.create(kinds.PIPELINE_RUNS, manifest)
        except errors.NotFoundError as error:
            raise RunError(
                f"{cluster.connection.server} has no kind PipelineRun: run `wherry crds | kubectl "
                "apply -f -` and `wherry controllers` there"
            ) from error

    cluster.call(start)
    return Run(cluster, name)


def find_run(
    name: str, *, namespace: str = "", connection: Connection | Path | str | None = None
) -> Run:
    """Return a run that there is, whoever started it, by whatever means.

    Args:
        name: Of the PipelineRun.
        namespace: Where; by default the connection's.
        connection: Which cluster; see `Settings`.

    Raises:
        RunError: there is none of that name.
        ConfigurationError: there is no cluster.
    """
    return Run.find(name, namespace, connection)


def _read(
    pipeline: AnyPipeline | Component | Path | str, inputs: Mapping[str, Any]
) -> tuple[Documents, str]:
    """Return a pipeline's documents and its name, once it is known that it can be run with the inputs."""
    if isinstance(pipeline, Component):
        pipeline = pipelines.pipeline(pipeline)
    try:
        if isinstance(pipeline, AnyPipeline):
            read = pipeline.documents()
        else:
            read = documents.parse(Path(pipeline).read_text("utf-8"))
        found = Pipeline(read.spec, read.platform)
        found.check_parameters(inputs)
    except PipelineError as error:
        raise CompileError(str(error)) from error
    return read, found.name

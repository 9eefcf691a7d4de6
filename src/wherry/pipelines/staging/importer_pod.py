"""The pod of an importer that brings its artifact into the run's workspace."""

from pathlib import Path

from wherry.metadata.artifacts import uris
from wherry.metadata.records import Artifact
from wherry.objects.requests import Object
from wherry.pipelines.staging import direct
from wherry.pipelines.staging.staged import Stage
from wherry.pipelines.steps import pod
from wherry.pipelines.steps.draft import Draft
from wherry.pipelines.steps.order import Order


def make(order: Order, artifact: Artifact, stage: Stage, folder: Path | None) -> Object:
    """Return the pod.

    Args:
        order: The importer.
        artifact: What it brings; its metadata says that it is in the workspace.
        stage: How it is brought.
        folder: Of this machine, which steps can read; None: pods run elsewhere.

    Raises:
        StepError: the run has no workspace.
        UriError: steps cannot see such an artifact.
    """
    draft = Draft({})
    pod.mount_workspace(draft, order)
    if folder is not None and uris.is_direct(artifact.uri):
        direct.mount_folder(draft, folder)
    path = uris.path(artifact.uri, type=artifact.type, metadata=artifact.metadata)
    stage.fetch_alone(draft, artifact.uri, path)
    return pod.finished(draft, order)

"""What is kept of workflows that have ended."""

import contextlib
import sqlite3

import pytest

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.archive.store import Archive

WORKFLOW: Object = {
    "apiVersion": kinds.WORKFLOWS.api_version,
    "kind": kinds.WORKFLOWS.kind,
    "metadata": {
        "name": "ended",
        "namespace": "default",
        "uid": "1-2-3",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-02T03:04:05Z",
    },
    "spec": {"entrypoint": "main"},
    "status": {"phase": "Succeeded", "finishedAt": "2026-01-02T03:05:05Z"},
}


@pytest.fixture
async def archive(tmp_path):
    made = Archive(tmp_path / "archive.db")
    yield made
    await made.close()


async def test_what_is_kept_already_is_not_written_again(archive, tmp_path):
    await archive.keep(WORKFLOW)
    with contextlib.closing(sqlite3.connect(tmp_path / "archive.db")) as beside:

        def version():
            # It changes with every commit of another connection.
            return beside.execute("PRAGMA data_version").fetchone()[0]

        first = version()
        head = {**WORKFLOW["metadata"], "resourceVersion": "8"}
        head["labels"] = {kinds.ARCHIVING_LABEL: "Archived"}
        await archive.keep({**WORKFLOW, "metadata": head})
        assert version() == first
        await archive.keep({**WORKFLOW, "metadata": {**head, "labels": {"more": "1"}}})
        assert version() != first
    found = await archive.get("1-2-3")
    assert metadata.labels(found)["more"] == "1"

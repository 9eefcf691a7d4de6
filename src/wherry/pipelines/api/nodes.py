"""Which task of a run a client means by a node."""

import re
from typing import Final

from wherry.metadata.records import Execution
from wherry.metadata.store import Metadata
from wherry.objects import errors
from wherry.pipelines import workflow_runs
from wherry.pipelines.graph import again

_ID: Final = re.compile(r"[0-9]{1,18}")


async def found(metadata: Metadata, run_id: str, node: str) -> Execution:
    """Return the task that is called so: by its place, its id, its pod, or its name where no other has it.

    Upstream's nodes are pods.

    Args:
        metadata: Knows the tasks.
        run_id: Of the run.
        node: As the client says.

    Raises:
        NotFoundError: none is, or several are.
        DatabaseError: they cannot be read.
    """
    row = await metadata.task(run_id, again.place(node))
    if row is None and _ID.fullmatch(node):
        row = await metadata.execution(int(node))
    if row is not None and row.run == run_id:
        return row
    return await _named(metadata, run_id, node)


def _node_id(row: Execution) -> str:
    """Return the id of the node of a Workflow; its tasks are noted under its name."""
    return workflow_runs.node_id(row.pipeline, row.pod)


async def _named(metadata: Metadata, run_id: str, node: str) -> Execution:
    rows = await metadata.of_run(run_id)
    named = [row for row in rows if node and node in (row.pod, _node_id(row))]
    named = named or [row for row in rows if row.name == node]
    if len(named) > 1:
        places = ", ".join(row.path for row in named[:5])
        raise errors.NotFoundError(f"node {node[:200]!r}: several tasks are called so: {places}")
    if not named:
        raise errors.NotFoundError(f"node {node[:200]!r}: the run has come to no such task")
    return named[0]

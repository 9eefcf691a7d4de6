"""What is handed in as a pipeline: text or object, of this version of KFP or of the first. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from wherry.objects.errors import Cause
from wherry.pipelines import workflow_runs
from wherry.pipelines.ir import documents
from wherry.pipelines.ir.documents import Documents, PipelineError


def read(given: Any) -> Documents:
    """Read a pipeline.

    Args:
        given: What the compiler of kfp writes: its text, or the object that it stands for, or one that
            has this as ``pipelineSpec``, maybe with ``platformSpec``. Version 1 writes a Workflow of Argo.

    Raises:
        PipelineError: it is none.
    """
    if not isinstance(given, str | Mapping):
        raise PipelineError([Cause("", f"want an object or a text, not {type(given).__name__}")])
    found = documents.parse(given if isinstance(given, str) else json.dumps(given))
    spec = workflow_runs.whole(found.spec)
    if workflow_runs.is_workflow(spec):
        causes = [*workflow_runs.check(spec)]
        if causes:
            raise PipelineError(causes)
        return Documents(spec)
    return found

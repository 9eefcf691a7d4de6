"""Who runs a workflow: this engine, or on a cluster that has Argo the controller of that. Pure.

An object that was begun here, which its finalizer tells, stays here.
"""

from collections.abc import Mapping
from typing import Final

from wherry.objects import metadata
from wherry.objects.requests import Object

OPTION: Final = "pipelines-workflow-engine"
"""Who runs workflows and schedules of which nothing else is said: ``wherry`` or ``argo``."""
ANNOTATION: Final = "wherry.dev/engine"
"""Of one workflow or schedule: likewise."""
FINALIZER: Final = "wherry.dev/workflow"
"""Holds a workflow that is run here until its steps are told to end."""
WHERRY: Final = "wherry"
ARGO: Final = "argo"
_ENGINES: Final = (WHERRY, ARGO)


class Engines:
    """Says who runs what."""

    def __init__(self, options: Mapping[str, str]) -> None:
        """Take the setting.

        Args:
            options: Settings of the administrator.

        Raises:
            ValueError: it names no engine.
        """
        self._default = options.get(OPTION, WHERRY)
        complaint = wrong(self._default)
        if complaint:
            raise ValueError(f"option {OPTION}: {complaint}")

    def is_ours(self, obj: Object) -> bool:
        """Tell whether a Workflow or CronWorkflow is run here."""
        told = metadata.annotations(obj).get(ANNOTATION) or self._default
        return told != ARGO or FINALIZER in (obj["metadata"].get("finalizers") or ())


def wrong(engine: str) -> str:
    """Return what is wrong with the name of an engine; empty: nothing."""
    return "" if engine in _ENGINES else f"{engine[:80]!r}: want {' or '.join(_ENGINES)}"

"""Where a Workflow's artifacts go: what is known once, for all of its nodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.pipelines.controller.roots import Root

STATUS: Final = "artifactRepositoryRef"
"""Field of a Workflow's status: which repository it has."""
DEFAULT_KEY: Final = "{{workflow.name}}/{{pod.name}}"
"""Upstream's, where the repository has no ``keyFormat``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """Where artifacts go that say nothing else.

    Attributes:
        root: The pipelines' root of the namespace; what no store takes is below it.
        store: Which store, in upstream's form (``{"s3": {"bucket": …}}``); empty: the root.
        key_format: Where below it a pod's artifacts are; may have tags.
        archive_logs: Whether what pods say is an artifact, whatever workflows want.
        told: Which it is, as the Workflow's status says it (`STATUS`).
    """

    root: Root
    store: Mapping[str, Any] = field(default_factory=dict)
    key_format: str = DEFAULT_KEY
    archive_logs: bool = False
    told: Mapping[str, Any] = field(default_factory=lambda: {"default": True})

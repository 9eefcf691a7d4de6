"""The three kinds of nodes, and the types of them that everybody has. Pure."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table

from wherry.metadata import records, schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Artifacts, executions or contexts.

    Attributes:
        name: ``artifact``, ``execution`` or ``context``.
        table: Of them.
        groups: Which contexts they are in; None: contexts are in none.
        state: The field of their messages that is their state; empty: they have none.
    """

    name: str
    table: Table
    groups: Table | None = None
    state: str = ""


ARTIFACT: Final = Kind(
    name="artifact", table=schema.ARTIFACTS, groups=schema.ATTRIBUTIONS, state="state"
)
EXECUTION: Final = Kind(
    name="execution",
    table=schema.EXECUTIONS,
    groups=schema.ASSOCIATIONS,
    state="last_known_state",
)
CONTEXT: Final = Kind(name="context", table=schema.CONTEXTS)
KINDS: Final = (ARTIFACT, EXECUTION, CONTEXT)

SHARED_TYPES: Final = (
    (CONTEXT.name, records.PIPELINE),
    (CONTEXT.name, records.PIPELINE_RUN),
    (EXECUTION.name, records.CONTAINER_EXECUTION),
    (EXECUTION.name, records.DAG_EXECUTION),
    (EXECUTION.name, records.IMPORTER_EXECUTION),
    *(
        (ARTIFACT.name, f"system.{name}")
        for name in (
            *("Artifact", "Dataset", "Model", "Metrics", "ClassificationMetrics"),
            *("SlicedClassificationMetrics", "HTML", "Markdown"),
        )
    ),
)
"""Kind and name of the types of Kubeflow Pipelines, which all namespaces share. The id of each is its
place, from 1: only ever add to the end."""
FIRST_OWN_TYPE: Final = 1000
"""Ids of all other types are larger."""

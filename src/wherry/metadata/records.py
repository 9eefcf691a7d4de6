"""What the metadata database holds, as values. Pure.

Source: the model of google/ml-metadata, whose words (artifact, execution, event, context) are kept:
an execution reads and makes artifacts, an event is one such reading or making, and a context groups
both (a pipeline, a run of it). All times are whole milliseconds since 1970 UTC; 0: not yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SUCCEEDED: Final = "SUCCEEDED"
"""The state of executions whose outputs may be used again."""
CONTAINER_EXECUTION: Final = "system.ContainerExecution"
IMPORTER_EXECUTION: Final = "system.ImporterExecution"
DAG_EXECUTION: Final = "system.DAGExecution"
PIPELINE: Final = "system.Pipeline"
PIPELINE_RUN: Final = "system.PipelineRun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A thing that was made or read: a dataset, a model, metrics.

    Attributes:
        id: Given by the database; 0: not stored yet.
        namespace: Whose it is.
        type: Title of its schema, such as ``system.Dataset``.
        name: What it was called where it was made.
        uri: Where it is.
        metadata: What is known of it, JSON.
        created: When it was stored; given by the database where it is 0.
    """

    id: int = 0
    namespace: str = ""
    type: str = "system.Artifact"
    name: str = ""
    uri: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    created: int = 0


@dataclass(frozen=True, slots=True)
class Values:
    """What goes into an execution, or comes out.

    Attributes:
        parameters: By name, JSON; numbers keep their type.
        artifacts: By name, each a list (most have one element).
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, tuple[Artifact, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A task of a run, or anything else that made artifacts.

    A task has one row, whatever its attempts; what belongs to an attempt is that of the latest.

    Attributes:
        id: Given by the database; 0: not stored yet.
        namespace: Whose it is.
        type: Such as ``system.ContainerExecution``.
        name: Of the task, for people.
        pipeline: Name of the pipeline, in which fingerprints are looked up; empty outside pipelines.
        run: Uid of the run. Never two executions of a run have the same path.
        path: Where in the run's graph, such as ``root/for-loop-1[3]/train``; at most 4000 characters.
        state: Any word of the owner's; `SUCCEEDED` has a meaning here too.
        attempt: Number of the latest attempt, from 0.
        pod: Name of the pod of the latest attempt; empty: none.
        inputs: What went in; artifacts in it must be stored already (have an id).
        outputs: What came out; artifacts without an id are stored with the execution.
        created: When it was stored; given by the database where it is 0.
        started: When it began to run.
        ended: When it had ended.
        error: Why it failed, for people.
        fingerprint: By which its outputs may be found again; empty: they may not.
        cached_from: Id of the execution whose outputs were taken; 0: it ran.
        cache_reason: Why they were taken, or were not; for people.
        properties: What else its owner wants to keep, JSON.
        contexts: Ids of the contexts it belongs to. Taken when it is first stored; not read back.
    """

    id: int = 0
    namespace: str = ""
    type: str = CONTAINER_EXECUTION
    name: str = ""
    pipeline: str = ""
    run: str = ""
    path: str = ""
    state: str = ""
    attempt: int = 0
    pod: str = ""
    inputs: Values = field(default_factory=Values)
    outputs: Values = field(default_factory=Values)
    created: int = 0
    started: int = 0
    ended: int = 0
    error: str = ""
    fingerprint: str = ""
    cached_from: int = 0
    cache_reason: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    contexts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What groups executions and artifacts. One of a type, namespace and name exists once.

    Attributes:
        id: Given by the database; 0: not stored yet.
        namespace: Whose it is.
        type: Such as ``system.PipelineRun``.
        name: Of a run its uid, of a pipeline its name; at most 255 characters.
        properties: What is known of it, JSON.
        parents: Ids of the contexts that it is part of.
        created: When it was stored; given by the database where it is 0.
    """

    id: int = 0
    namespace: str = ""
    type: str = ""
    name: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    parents: tuple[int, ...] = ()
    created: int = 0


CACHE_KEY: Final = "cacheKey"
"""Property of executions: the key under which their author wants their outputs to be found again."""
INPUT: Final = "INPUT"
OUTPUT: Final = "OUTPUT"


@dataclass(frozen=True, slots=True)
class Event:
    """An execution read an artifact, or made it.

    Attributes:
        execution: Its id.
        artifact: Its id.
        type: `INPUT` or `OUTPUT`.
        name: Of the input or output.
        index: Which of the list, from 0.
    """

    execution: int
    artifact: int
    type: str
    name: str
    index: int = 0

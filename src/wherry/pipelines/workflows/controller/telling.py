"""What is told of a Workflow: its phase, its conditions, its nodes, when to look again. Pure."""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.graph.model import State
from wherry.pipelines.workflows import calls, durations, kinds, node_values, nodes, scopes
from wherry.pipelines.workflows.artifacts import repository
from wherry.pipelines.workflows.controller import tree
from wherry.pipelines.workflows.controller.engine import AGAIN, UNTIL, WAITS, WorkflowEngine
from wherry.pipelines.workflows.reading import any_text

PENDING: Final = "Pending"
RUNNING: Final = "Running"
FINAL: Final = frozenset({"Succeeded", "Failed", "Error"})
OVERDUE: Final = "Workflow exceeded its deadline"
_LEAST_SECONDS: Final = 0.01
LOCK_SECONDS: Final = 2.0
"""Who waits for a lock is woken when it is given back; a limit that has changed is seen after this."""
_KEPT: Final = (
    "persistentVolumeClaims", "artifactRepositoryRef", "offloadNodeStatusVersion",
    "storedWorkflowTemplateSpec",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is seen of a workflow.

    Attributes:
        phase: As upstream calls it.
        message: Why it waits, or has failed.
        more: What else its status says: nodes, progress …
        nodes: These nodes by id.
    """

    phase: str
    message: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    nodes: Mapping[str, Object] = field(default_factory=dict)


def phase(workflow: Object) -> str:
    """Return a workflow's phase, as its status says."""
    return str((workflow.get("status") or {}).get("phase") or "")


def is_finished(workflow: Object) -> bool:
    """Tell whether a workflow has ended."""
    return phase(workflow) in FINAL


def phase_of(engine: WorkflowEngine) -> str:
    """Return how a workflow stands."""
    state = engine.walk.state
    if state.final:
        return scopes.phase(state)
    return PENDING if engine.waits else RUNNING


def of(engine: WorkflowEngine, pods: Mapping[str, Object], locks: Object) -> Seen:
    """Return what is seen of a workflow."""
    found, ends = tree.of(engine, pods)
    told = phase_of(engine)
    message = engine.waits if told == PENDING else ""
    if told in FINAL and told != "Succeeded":
        message = engine.cancelled or engine.walk.error
    elif engine.cancelled and told not in FINAL:
        message = engine.cancelled
    more: Object = {
        **nodes.packed(found),
        "progress": ends.progress,
        "resourcesDuration": tree.duration(ends.seconds) if ends.seconds else {},
        "outputs": _outputs(engine),
        "storedTemplates": engine.language.templates.stored,
        "synchronization": locks,
        repository.STATUS: dict(engine.repository.told),
        "running": bool(engine.running),
        "estimate": engine.estimates.whole,
    }
    return Seen(phase=told, message=message, more=more, nodes=found)


def status(workflow: Object, seen: Seen, now: datetime.datetime) -> Object:
    """Return the status that a workflow should have."""
    before: Object = workflow.get("status") or {}
    moment = metadata.format_time(now)
    more = dict(seen.more)
    running, estimate = more.pop("running", False), more.pop("estimate", 0)
    ended = seen.phase in FINAL
    made: Object = {
        **{key: before.get(key) for key in _KEPT},
        **more,
        # What was said when it began stays.
        "estimatedDuration": before.get("estimatedDuration") or estimate or None,
        "phase": seen.phase,
        "message": seen.message,
        "startedAt": before.get("startedAt") or moment,
        "finishedAt": (before.get("finishedAt") or moment) if ended else None,
        "conditions": _conditions(running=running and not ended, ended=ended),
    }
    return {key: value for key, value in made.items() if value not in ("", None, [], {})}


def _conditions(*, running: bool, ended: bool) -> list[Object]:
    made: list[Object] = [{"type": "PodRunning", "status": "True" if running else "False"}]
    return [*made, {"type": "Completed", "status": "True"}] if ended else made


def labels(workflow: Object, told: str) -> dict[str, str]:
    """Return the labels that a workflow has in a phase."""
    ended = "true" if told in FINAL else "false"
    own = {kinds.PHASE_LABEL: told, kinds.COMPLETED_LABEL: ended}
    reference = workflow["spec"].get("workflowTemplateRef") or {}
    if reference:
        is_cluster = bool(reference.get("clusterScope"))
        label = (
            kinds.CLUSTER_WORKFLOW_TEMPLATE_LABEL if is_cluster else kinds.WORKFLOW_TEMPLATE_LABEL
        )
        own[label] = str(reference.get("name"))
    before = {**metadata.labels(workflow)}
    if told not in FINAL:
        before.pop(kinds.ARCHIVING_LABEL, None)
    return {**before, **own}


def ignored(spec: Object) -> Iterator[str]:
    """Yield the fields of a workflow that say nothing here."""
    parts = {"spec": spec, "spec.templateDefaults": spec.get("templateDefaults") or {}}
    for place, template in enumerate(spec.get("templates") or ()):
        parts[f"spec.templates[{place}]"] = template
    for where, part in parts.items():
        if (part.get("retryStrategy") or {}).get("affinity"):
            yield f"{where}.retryStrategy.affinity"


def _outputs(engine: WorkflowEngine) -> Object:
    parameters, artifacts = [], []
    for key, value in engine.language.exported.items():
        kind, _, name = key.removeprefix("workflow.outputs.").partition(".")
        if kind == "parameters":
            parameters.append({"name": name, "value": any_text(value)})
        else:
            artifacts.append({"name": name, **node_values.shown(value, engine.repository)})
    made = {"parameters": parameters, "artifacts": artifacts}
    return {key: each for key, each in made.items() if each}


def seconds_left(engine: WorkflowEngine, run: Object, now: datetime.datetime) -> float | None:
    """Return how long a workflow may still take, at least 0; None: as long as it likes."""
    seconds = engine.language.spec.active_deadline_seconds
    began = (run.get("status") or {}).get("startedAt")
    if seconds is None or not began:
        return None
    return max(0.0, seconds - (now - metadata.parse_time(began)).total_seconds())


def waits(engine: WorkflowEngine, run: Object, now: datetime.datetime) -> Iterator[float]:
    """Yield after how many seconds there is something to do though nothing changes."""
    if engine.walk.state.final:
        return
    at = now.timestamp()
    if engine.walk.wake_at is not None and not run["spec"].get("suspend"):
        yield max(_LEAST_SECONDS, engine.walk.wake_at - at)
    left = None if engine.cancelled else seconds_left(engine, run, now)
    if left is not None:
        yield max(_LEAST_SECONDS, left)
    if engine.waits:
        yield LOCK_SECONDS
    for row in engine.running.values():
        until = int(row.properties.get(UNTIL) or 0)
        if until:
            yield max(_LEAST_SECONDS, until / 1000 - at)
        if row.properties.get(WAITS):
            yield LOCK_SECONDS
        due = timeout(engine, row.path)
        if due is not None:
            yield max(_LEAST_SECONDS, due - at)
    for again in () if run["spec"].get("suspend") else _daemons(engine):
        yield max(_LEAST_SECONDS, again / 1000 - at)


def _daemons(engine: WorkflowEngine) -> Iterator[int]:
    """Yield when daemons are made again, in milliseconds since the epoch."""
    for row in engine.daemons.values():
        again = row.properties.get(AGAIN)
        if again is not None and row.path not in engine.remade and not engine.is_ended(row):
            yield int(again)


def timeout(engine: WorkflowEngine, path: str) -> float | None:
    """Return when the time of a step that runs is up, in seconds since the epoch; None: it has no end."""
    spot = engine.spot(path)
    known = calls.content(spot)
    template = known.template if known is not None else None
    if template is None or not template.timeout or spot.state is not State.RUNNING:
        return None
    row = engine.rows[path]
    return row.started / 1000 + timeout_seconds(engine, path, row.attempt)


def timeout_seconds(engine: WorkflowEngine, path: str, number: int) -> float:
    """Return how long an attempt of a step may take whose template says so.

    Raises:
        ValueError: that is no length of time.
    """
    written = engine.language.filled(engine.spot(path), number, "")
    return durations.seconds(str(written["timeout"]))

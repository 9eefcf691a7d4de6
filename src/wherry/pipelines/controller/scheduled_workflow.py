"""One schedule, one look: make the run that is due, say how the schedule stands.

The name of a run tells its slot, and the status tells the last slot that was run: whatever dies in
between, the next look finds the run there and only notes it. One slot at a look; the note of it brings
the next look.
"""

import dataclasses
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wherry.controller import apply
from wherry.controller.controller import Controller
from wherry.controller.errors import ForeignOwnerError
from wherry.controller.events import EventType
from wherry.controller.manager import Manager
from wherry.controller.owners import is_controlled_by
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.pipelines import accounts, workflow_runs
from wherry.pipelines import kinds as run_kinds
from wherry.pipelines.controller import scheduled_source
from wherry.pipelines.definitions.store import Definitions
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.schedules import kinds, making, progress
from wherry.pipelines.schedules.cron import zone_of
from wherry.pipelines.schedules.progress import Progress
from wherry.pipelines.schedules.trigger import MOST_COUNTED, Due, Trigger

NAME: Final = "scheduledworkflow"
ZONE_OPTION: Final = "pipelines-cron-time-zone"
"""Option: where cron texts are read that say nothing of it; UTC by default."""
LOOK_SECONDS: Final = 60.0
"""How long nobody looks at most: timers stand still while a machine sleeps, and clocks are set."""
_AGAIN_SECONDS: Final = 30.0
_MARGIN_SECONDS: Final = 0.05
_MOST_KEPT: Final = 10
_LET_GO_AT_ONCE: Final = 20
_RUNS: Final = (run_kinds.PIPELINE_RUNS, run_kinds.WORKFLOWS)
"""What runs are: the second of packages of KFP v1."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """How a schedule stands.

    Attributes:
        type: Of its condition.
        message: In a sentence.
        reason: In a word, where it is worth an event.
    """

    type: str
    message: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What is seen of a schedule.

    Attributes:
        schedule: Itself.
        runs: Its runs.
        trigger: When it is due.
        state: How far it is.
    """

    schedule: Object
    runs: Sequence[Object]
    trigger: Trigger
    state: Progress

    @property
    def following(self) -> datetime.datetime | None:
        """The next slot, also one that has passed."""
        return self.trigger.next(self.state.after)

    @property
    def most_kept(self) -> int:
        """So many runs that have ended are told of, and keep their objects."""
        most = self.schedule["spec"].get("maxHistory")
        return _MOST_KEPT if most is None else int(most)

    @property
    def active(self) -> int:
        """How many runs have not ended."""
        return sum(progress.is_active(run) for run in self.runs)


class ScheduledWorkflowReconciler:
    """Makes runs when they are due."""

    def __init__(self, manager: Manager, definitions: Definitions, zone: str) -> None:
        """Take what it works with.

        Args:
            manager: Gives client, caches, clock and recorder.
            definitions: Pipelines that are kept by name.
            zone: Where cron texts are read that say nothing of it.
        """
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("scheduled-workflow-controller")
        self._schedules = manager.cache(kinds.SCHEDULED_WORKFLOWS)
        self._runs = [manager.cache(each) for each in _RUNS]
        self._definitions = definitions
        self._zone = zone

    async def reconcile(self, request: Request) -> Result | None:
        """Make the run that is due, if any, and write the status."""
        schedule = self._schedules.get(*request)
        if schedule is None or metadata.is_deleting(schedule):
            return None
        owned = [run for cache in self._runs for run in cache.owned_by(metadata.uid(schedule))]
        runs = [run for run in owned if is_controlled_by(run, schedule)]
        created = metadata.parse_time(schedule["metadata"]["creationTimestamp"])
        try:
            trigger = Trigger.of(schedule["spec"].get("trigger") or {}, created, self._zone)
        except ValueError as error:
            look = _Look(
                schedule=schedule,
                runs=runs,
                trigger=Trigger(created=created),
                state=Progress.of(schedule),
            )
            await self._tell(look, _Standing(kinds.ERROR, f"trigger: {error}", "InvalidTrigger"))
            return None
        state = (await self._state(schedule)).seeing(runs)
        look = _Look(schedule=schedule, runs=runs, trigger=trigger, state=state)
        look, standing, wait = await self._step(look)
        await self._tell(look, standing)
        await self._let_go(look)
        return Result(requeue_after_seconds=wait) if wait is not None else None

    async def _state(self, schedule: Object) -> Progress:
        """Return how far a schedule is; a trigger that was changed counts from then on."""
        before = Progress.of(schedule)
        observed = progress.digest(schedule["spec"].get("trigger") or {}, self._zone)
        if not before.observed or before.observed == observed:
            return dataclasses.replace(before, observed=observed)
        # Caches leave out who wrote what.
        where = metadata.namespaced_name(schedule)
        written = await self._client.get(kinds.SCHEDULED_WORKFLOWS, where.name, where.namespace)
        now = self._clock.now().replace(microsecond=0)
        return before.changed(observed, progress.changed_at(written) or now, now)

    async def _step(self, look: _Look) -> tuple[_Look, _Standing, float | None]:
        """Take one step; return how it is then, how it stands, and when to look again."""
        spec, now = look.schedule["spec"], self._clock.now()
        if not spec.get("enabled"):
            return look, _usual(look), None
        due = look.trigger.due(look.state.after, now, catch_up=not spec.get("noCatchup"))
        if due is None:
            return look, _usual(look), _until(look.following, now)
        slot, most = metadata.format_time(due.slot), spec.get("maxConcurrency") or 1
        if look.active >= most:
            message = (
                f"the run of {slot} waits: {look.active} of its runs have not ended, and "
                f"maxConcurrency is {most}"
            )
            return look, _Standing(kinds.ENABLED, message, kinds.WAITING), LOOK_SECONDS
        try:
            await self._make(look.schedule, due, look.state.index + 1)
        except errors.ConflictError:
            raise
        except (PipelineError, ForeignOwnerError, errors.ApiError) as error:
            message = f"the run of {slot} cannot be made: {error}"
            return look, _Standing(kinds.ERROR, message, "FailedCreate"), _AGAIN_SECONDS
        made = dataclasses.replace(look, state=look.state.fired(due.slot))
        return made, _usual(made), 0.0

    async def _make(self, schedule: Object, due: Due, index: int) -> None:
        """Make the run of a slot; that it is there is fine."""
        source = await scheduled_source.source(self._definitions, schedule)
        wanted = making.run(schedule, source, slot=due.slot, index=index, now=self._clock.now())
        resource = _resource(wanted)
        if resource is run_kinds.WORKFLOWS:
            wanted = await accounts.present(self._client, wanted)
        applied = await apply.create_if_absent(self._client, None, resource, wanted)
        if applied.outcome != "created":
            return
        slot = metadata.format_time(due.slot)
        message = f"Made run {metadata.name(wanted)} for {slot}"
        await self._recorder.event(schedule, "Normal", "RunCreated", message)
        if due.skipped:
            count = f"more than {MOST_COUNTED}" if due.skipped > MOST_COUNTED else due.skipped
            message = f"Left out {count} times before {slot} that have passed: noCatchup is set"
            await self._recorder.event(schedule, "Normal", "SlotsSkipped", message)

    async def _tell(self, look: _Look, standing: _Standing) -> None:
        schedule, spec = look.schedule, look.schedule["spec"]
        before = ((schedule.get("status") or {}).get("conditions") or [{}])[0]
        if standing.reason and before.get("message") != standing.message:
            kind: EventType = "Warning" if standing.type == kinds.ERROR else "Normal"
            await self._recorder.event(schedule, kind, standing.reason, standing.message)
        condition = {
            "type": standing.type,
            "status": "True",
            "reason": standing.reason or standing.type,
            "message": standing.message,
        }
        status: Object = {
            "conditions": [condition],
            "trigger": look.state.to_dict(look.following if spec.get("enabled") else None),
            "workflowHistory": progress.history(look.runs, look.most_kept),
        }
        await write_status(self._client, kinds.SCHEDULED_WORKFLOWS, schedule, status)

    async def _let_go(self, look: _Look) -> None:
        """Delete the objects of runs that ended long ago: the history keeps what became of them."""
        known = Progress.of(look.schedule).last
        if known is None:
            return
        for run in progress.beyond(look.runs, look.most_kept, known)[:_LET_GO_AT_ONCE]:
            await apply.delete_if_present(self._client, _resource(run), run)


def _resource(run: Object) -> Resource:
    """Return what a run is."""
    return run_kinds.WORKFLOWS if workflow_runs.is_workflow(run) else run_kinds.PIPELINE_RUNS


def _usual(look: _Look) -> _Standing:
    if look.trigger.times is None and look.state.last is not None:
        if look.active:
            return _Standing(kinds.RUNNING, "its one run has not ended")
        return _Standing(kinds.SUCCEEDED, "its one run has ended")
    if not look.schedule["spec"].get("enabled"):
        return _Standing(kinds.DISABLED, "spec.enabled is false: no runs are made")
    if look.following is None:
        return _Standing(kinds.ENABLED, "it has no time left: endTime has come")
    return _Standing(kinds.ENABLED, "runs are made when they are due")


def _until(slot: datetime.datetime | None, now: datetime.datetime) -> float | None:
    if slot is None:
        return None
    return min((slot - now).total_seconds() + _MARGIN_SECONDS, LOOK_SECONDS)


def controller(manager: Manager, definitions: Definitions) -> Controller:
    """Return the controller.

    Args:
        manager: Runs it.
        definitions: Pipelines that are kept by name.

    Raises:
        ValueError: the option says no time zone.
    """
    zone = manager.surroundings.options.get(ZONE_OPTION, "")
    try:
        zone_of(zone)
    except ValueError as error:
        raise ValueError(f"{ZONE_OPTION}: {error}") from error
    return Controller(
        NAME,
        kinds.SCHEDULED_WORKFLOWS,
        ScheduledWorkflowReconciler(manager, definitions, zone),
        owns=_RUNS,
    )

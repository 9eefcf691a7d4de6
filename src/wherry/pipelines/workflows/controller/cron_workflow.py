"""One CronWorkflow, one look: make the workflow that is due, say how it stands.

The name of a workflow tells its time, and so does an annotation: whatever dies between making it and noting it, the
next look finds it there, and no time is run twice.
"""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Final

from wherry.controller import apply
from wherry.controller.controller import Controller
from wherry.controller.errors import ForeignOwnerError
from wherry.controller.manager import Manager
from wherry.controller.owners import is_controlled_by, set_controller
from wherry.controller.requests import Request, Result
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.workflows import conditions, kinds, reading, schedules, submitting, variables
from wherry.pipelines.workflows.engines import Engines
from wherry.pipelines.workflows.expr import program
from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.messages import ConcurrencyPolicy, CronWorkflowSpec, Shutdown
from wherry.pipelines.workflows.schedules import Progress, Times

NAME: Final = "cronworkflow"
LOOK_SECONDS: Final = 60.0
"""How long nobody looks at most: timers stand still while a machine sleeps, and clocks are set."""
_MARGIN_SECONDS: Final = 0.05
_LET_GO_AT_ONCE: Final = 20
_PASSED_ON: Final = (
    *(kinds.CREATOR_LABEL, f"{kinds.CREATOR_LABEL}-email"),
    f"{kinds.CREATOR_LABEL}-preferred-username",
)
_ROOTS: Final = ("cronworkflow.",)


@dataclasses.dataclass(frozen=True, slots=True)
class _Look:
    """What is seen of a CronWorkflow.

    Attributes:
        cron: Itself.
        spec: What it says.
        times: When it is due.
        workflows: Those that it has made.
        now: The time.
    """

    cron: Object
    spec: CronWorkflowSpec
    times: Times
    workflows: Sequence[Object]
    now: datetime.datetime


class CronWorkflowReconciler:
    """Makes workflows when they are due."""

    def __init__(self, manager: Manager, who: Engines) -> None:
        """Take what it works with.

        Args:
            manager: Gives client, caches, clock and recorder.
            who: Says whose workflows are made here.
        """
        self._who = who
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("cron-workflow-controller")
        self._crons = manager.cache(kinds.CRON_WORKFLOWS)
        self._workflows = manager.cache(kinds.WORKFLOWS)
        self._passed: dict[tuple[str, str], datetime.datetime] = {}

    async def reconcile(self, request: Request) -> Result | None:
        """Make the workflow that is due, if any, and write the status."""
        cron = self._crons.get(*request)
        if cron is None or metadata.is_deleting(cron) or not self._who.is_ours(cron):
            self._passed.pop(request, None)
            return None
        owned = self._workflows.owned_by(metadata.uid(cron))
        workflows = [each for each in owned if is_controlled_by(each, cron)]
        state = Progress.of(cron).seeing(workflows)
        try:
            spec = reading.read_cron_spec(cron.get("spec"))
            look = _Look(cron, spec, Times.of(spec), workflows, self._clock.now())
            state = self._counted(look, state).with_error(schedules.SPEC_ERROR, "")
            state = self._stopped(look, state)
            state = await self._step(look, state)
            wait = (look.times.next(state.after, look.now) - look.now).total_seconds()
        except (PipelineError, ExprError, ValueError) as error:
            await self._write(cron, None, state.with_error(schedules.SPEC_ERROR, str(error)))
            return None
        await self._write(cron, look.times, state)
        for old in schedules.beyond(workflows, spec, Progress.of(cron))[:_LET_GO_AT_ONCE]:
            await apply.delete_if_present(self._client, kinds.WORKFLOWS, old)
        return Result(requeue_after_seconds=min(wait + _MARGIN_SECONDS, LOOK_SECONDS))

    def _counted(self, look: _Look, state: Progress) -> Progress:
        """Return how far it is; times of schedules that were changed count from now on."""
        before = metadata.annotations(look.cron).get(kinds.LAST_SCHEDULE_ANNOTATION)
        if before is None or before == look.times.key:
            return state
        return dataclasses.replace(state, counts_from=look.now.replace(microsecond=0))

    def _stopped(self, look: _Look, state: Progress) -> Progress:
        strategy = look.spec.stop_strategy
        if strategy is None or state.stopped:
            return state
        env = variables.nested(schedules.variables(look.cron, state))
        stops = program.holds(strategy.expression or strategy.condition, env)
        return dataclasses.replace(state, stopped=stops)

    async def _step(self, look: _Look, state: Progress) -> Progress:
        slot = look.times.due(state.after, look.now)
        passed = slot is not None and self._passed.get(metadata.namespaced_name(look.cron)) == slot
        if slot is None or passed or state.stopped or look.spec.suspend:
            return state
        if not schedules.in_time(slot, look.now, look.spec):
            return state
        try:
            if not self._wanted(look, state):
                self._pass(look, slot)
                return state
        except (UnresolvedError, conditions.ConditionError) as error:
            self._pass(look, slot)
            return state.with_error(schedules.SUBMISSION_ERROR, f"when: {error}")
        if not await self._make_way(look, slot, state):
            return state
        return await self._made(look, slot, state)

    def _pass(self, look: _Look, slot: datetime.datetime) -> None:
        """Remember that a time has been looked at, and nothing was made for it."""
        self._passed[metadata.namespaced_name(look.cron)] = slot

    def _wanted(self, look: _Look, state: Progress) -> bool:
        scope = schedules.variables(look.cron, state)
        when = variables.fill(look.spec.when, scope, strict=True, roots=_ROOTS)
        return conditions.holds(when)

    async def _make_way(self, look: _Look, slot: datetime.datetime, state: Progress) -> bool:
        """Return whether a workflow may start beside those that go on, having ended them if so told."""
        policy = look.spec.concurrency_policy
        if not state.active or policy in {None, ConcurrencyPolicy.ALLOW}:
            return True
        if policy is ConcurrencyPolicy.FORBID:
            # Where a deadline is set, the time is made up for once the other one has ended.
            if look.spec.starting_deadline_seconds is None:
                self._pass(look, slot)
            names = ", ".join(each.get("name", "") for each in state.active)
            message = f"Not making the workflow of {metadata.format_time(slot)}: {names} goes on"
            await self._recorder.event(look.cron, "Normal", "AlreadyActive", message)
            return False
        for each in state.active:
            patch = {"spec": {"shutdown": Shutdown.TERMINATE.value}}
            try:
                await self._client.patch(kinds.WORKFLOWS, each["name"], patch, each["namespace"])
            except errors.NotFoundError:
                continue
        return True

    async def _made(self, look: _Look, slot: datetime.datetime, state: Progress) -> Progress:
        wanted = _workflow(look.cron, slot)
        try:
            applied = await apply.create_if_absent(self._client, None, kinds.WORKFLOWS, wanted)
        except (errors.InvalidError, errors.ForbiddenError, ForeignOwnerError) as error:
            self._pass(look, slot)
            message = f"the workflow of {metadata.format_time(slot)} cannot be made: {error}"
            await self._recorder.event(look.cron, "Warning", "FailedCreate", message)
            failed = dataclasses.replace(state, failed=state.failed + 1)
            return failed.with_error(schedules.SUBMISSION_ERROR, message)
        if applied.outcome == "created":
            message = f"Made workflow {metadata.name(wanted)}"
            await self._recorder.event(look.cron, "Normal", "WorkflowCreated", message)
        made = schedules.reference(applied.object)
        active = [each for each in state.active if each.get("uid") != made["uid"]]
        done = dataclasses.replace(state, last=slot, active=(*active, made))
        return done.with_error(schedules.SUBMISSION_ERROR, "")

    async def _write(self, cron: Object, times: Times | None, state: Progress) -> None:
        head = {**cron["metadata"]}
        notes = {**metadata.annotations(cron)}
        if times is not None:
            notes[kinds.LAST_SCHEDULE_ANNOTATION] = times.key
        if state.counts_from != Progress.of(cron).counts_from:
            notes[schedules.COUNTS_FROM_ANNOTATION] = metadata.format_time(state.counts_from)
        if notes:
            head["annotations"] = notes
        if state.stopped:
            head["labels"] = {**metadata.labels(cron), kinds.CRON_COMPLETED_LABEL: "true"}
        wanted = {**cron, "metadata": head, "status": state.to_dict()}
        if wanted != cron:
            await self._client.update(kinds.CRON_WORKFLOWS, wanted)


def _workflow(cron: Object, slot: datetime.datetime) -> Object:
    """Return the workflow of a time."""
    made = submitting.of_cron(cron)
    head = {key: each for key, each in made["metadata"].items() if key != "generateName"}
    labels = {name: value for name, value in metadata.labels(cron).items() if name in _PASSED_ON}
    head["name"] = f"{metadata.name(cron)}-{int(slot.timestamp())}"
    head["namespace"] = metadata.namespace(cron)
    head["labels"] = {**labels, **head.get("labels", {})}
    head["annotations"] = {
        **head.get("annotations", {}),
        kinds.SCHEDULED_TIME_ANNOTATION: metadata.format_time(slot),
    }
    return set_controller({**made, "metadata": head}, cron)


def controller(manager: Manager, who: Engines) -> Controller:
    """Return the controller.

    Args:
        manager: Runs it.
        who: Says whose workflows are made here.
    """
    return Controller(
        NAME, kinds.CRON_WORKFLOWS, CronWorkflowReconciler(manager, who), owns=(kinds.WORKFLOWS,)
    )

"""One trial, one step: have its work made, follow its metrics, say how it has ended, clear up."""

from collections.abc import Sequence
from typing import Final

from wherry.controller import finalizers
from wherry.controller.controller import Controller, Watch
from wherry.controller.errors import ForeignOwnerError
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import conditions, errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.tuning import (
    collecting,
    collectors,
    holding,
    kinds,
    pipeline_runs,
    status,
    trial_checks,
    trial_status,
    trials,
    workloads,
)
from wherry.tuning import pods as trial_pods
from wherry.tuning.collecting import Collecting, State
from wherry.tuning.controller import runs
from wherry.tuning.controller.runs import TRIAL_CONTROLLER, Runs
from wherry.tuning.status import Verdict
from wherry.tuning.trial_status import Seen

_UNSERVED_SECONDS: Final = 5.0
_REFUSED_SECONDS: Final = 5.0
_NO_METRICS: Final = "None"
_LAST_LINES: Final = 3
_SOON_SECONDS: Final = 0.1
_HELD_SECONDS: Final = 1.0
"""How often pods on their way out are looked at that are still read."""
_EXPECTED: Final = frozenset({kinds.CREATED, kinds.RUNNING})
"""Conditions that are no event: that the work was made is one, and its pods have theirs."""
_WORKERS: Final = 16
_REFUSALS: Final = (
    errors.BadRequestError,
    errors.ForbiddenError,
    errors.InvalidError,
    ForeignOwnerError,
)
"""Of what a trial runs: asking again would not help, but for a quota."""


class TrialReconciler:
    """Takes trials a step nearer to their end."""

    def __init__(self, manager: Manager, metrics: Collecting) -> None:
        """Take what it works with.

        Args:
            manager: Gives client, caches, clock and recorder.
            metrics: Reads them.
        """
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("trial-controller")
        self._trials = manager.cache(kinds.TRIALS)
        self._collecting = metrics
        self._runs = Runs(manager)
        self._fit: dict[str, int] = {}
        """By uid: the generation of a trial in which nothing was found wrong."""

    async def reconcile(self, request: Request) -> Result | None:
        """Take one step."""
        trial = self._trials.get(*request)
        if trial is None:
            await self._runs.release_pods(request)
            return None
        if metadata.is_deleting(trial):
            await self._leave(trial)
            return None
        resource = self._runs.resource(trial)
        if trial_status.is_finished(trial):
            await self._clear_up(trial, resource)
            return None
        if resource is None:
            return await self._unserved(trial)
        if refusal := self._refusal(trial, resource):
            await self._write(trial, Seen(), refusal)
            return None
        trial = await finalizers.add_finalizer(self._client, kinds.TRIALS, trial, trials.FINALIZER)
        return await self._step(trial, resource)

    def _refusal(self, trial: Object, resource: Resource) -> Verdict | None:
        """Return why a trial cannot be run that came in where nobody has looked at it."""
        uid, generation = metadata.uid(trial), trial["metadata"].get("generation", 0)
        if self._fit.get(uid) == generation:
            return None
        if why := workloads.unfit(resource):
            return trial_status.failed("UnfitKind", f"runSpec: {why}")
        causes = trial_checks.validate(trial, None)
        if not causes:
            self._fit[uid] = generation
            return None
        told = "; ".join(f"{each.field}: {each.message}" for each in causes)
        return trial_status.failed("Unfit", told)

    async def _leave(self, trial: Object) -> None:
        self._fit.pop(metadata.uid(trial), None)
        if finalizers.has_finalizer(trial, trials.FINALIZER):
            await self._release(trial, self._runs.resource(trial))
            await self._collecting.forget(trial)
            await finalizers.remove_finalizer(self._client, kinds.TRIALS, trial, trials.FINALIZER)

    async def _unserved(self, trial: Object) -> Result:
        run = runs.run_spec(trial)
        told = f"{run.get('apiVersion', '')} {run.get('kind', '')}".strip()
        what = f"this cluster does not serve {told}" if told else "there is no object in it"
        seen = Seen(trouble=("UnknownKind", f"runSpec: {what}"))
        await self._write(trial, seen, None)
        return Result(requeue_after_seconds=_UNSERVED_SECONDS)

    async def _step(self, trial: Object, resource: Resource) -> Result | None:
        run = await self._runs.find(trial, resource)
        if run is None:
            seen_before = self._collecting.seconds(trial) is not None
            if seen_before or conditions.is_true(trial, kinds.RUNNING):
                end = trial_status.killed(_deleted(resource))
                await self._write(trial, Seen(running=True), end)
                return None
            return await self._begin(trial, resource)
        return await self._follow(trial, resource, run)

    async def _begin(self, trial: Object, resource: Resource) -> Result | None:
        try:
            made = await self._runs.make(resource, _made_ready(trial))
        except _REFUSALS as error:
            return await self._refused(trial, resource, error)
        if made:
            self._collecting.made(trial)
            message = f"Created {resource.kind}: {metadata.name(trial)}"
            await self._recorder.event(trial, "Normal", "JobCreated", message)
        return await self._await(trial)

    async def _await(self, trial: Object) -> Result | None:
        """Say that a trial waits for its work to begin, once it has done so for a while."""
        wait = trial_status.seconds_to_waiting(trial, self._clock.now())
        if wait > 0:
            return Result(requeue_after_seconds=wait)
        await self._write(trial, Seen(), None)
        return None

    async def _refused(self, trial: Object, resource: Resource, error: Exception) -> Result | None:
        message = f"{resource.kind} {metadata.name(trial)}: {getattr(error, 'message', error)}"
        if isinstance(error, errors.ForbiddenError):
            # A quota, perhaps: there may be room later.
            await self._write(trial, Seen(trouble=("FailedCreate", message)), None)
            return Result(requeue_after_seconds=_REFUSED_SECONDS)
        await self._write(trial, Seen(), trial_status.failed("FailedCreate", message))
        return None

    async def _follow(self, trial: Object, resource: Resource, run: Object) -> Result | None:
        pods = await self._runs.pods(trial, hold=holding.is_needed(run))
        verdict = workloads.verdict(trial, run)
        outputs = pipeline_runs.outputs(run)
        self._collecting.follow(trial, pods, ended=verdict is not None, outputs=outputs)
        state = self._collecting.state(trial)
        end = _end(trial, verdict, state, pods)
        if end is None and verdict is None and metadata.is_deleting(run):
            end = trial_status.killed(_deleted(resource))
        if end is None and verdict is not None and conditions.is_true(trial, kinds.RUNNING):
            # Its end is written in a moment, with all there is to say.
            return await self._let_go(trial)
        seen = Seen(
            running=_is_running(run, pods) or verdict is not None,
            trouble=workloads.trouble(pods),
            observation=state.observation(),
        )
        if end is None and seen.trouble is None:
            if not seen.running:
                return await self._await(trial)
            if (wait := self._seconds_to_running(trial)) > 0:
                return Result(requeue_after_seconds=wait)
        trial = await self._write(trial, seen, end)
        if end is not None:
            await self._clear_up(trial, resource)
            return None
        return await self._let_go(trial) or self._until_news(trial, seen)

    def _seconds_to_running(self, trial: Object) -> float:
        """Return for how long it need not be said that a trial runs."""
        if conditions.is_true(trial, kinds.RUNNING):
            return 0.0
        return trial_status.RUNNING_SECONDS - (self._collecting.seconds(trial) or 0.0)

    def _until_news(self, trial: Object, seen: Seen) -> Result | None:
        told = (trial.get("status") or {}).get("observation")
        if seen.observation is None or seen.observation == told:
            return None
        # There is more than was written: it is told when its time has come.
        wait = trial_status.seconds_to_observation(trial, self._clock.now())
        return Result(requeue_after_seconds=max(wait, _SOON_SECONDS))

    async def _let_go(self, trial: Object) -> Result | None:
        """Let go of pods that are to be deleted and have nothing more to say."""
        now = self._clock.now()

        def may_go(pod: Object) -> bool:
            if not metadata.is_deleting(pod):
                return False
            read = not workloads.is_primary(trial, pod) or self._collecting.has_read(trial, pod)
            return read or holding.is_overdue(pod, now)

        some_left = await self._runs.release_pods(_request(trial), may_go)
        return Result(requeue_after_seconds=_HELD_SECONDS) if some_left else None

    async def _write(self, trial: Object, seen: Seen, end: Verdict | None) -> Object:
        """Write the status, and tell what has changed in it; return the trial as it is now."""
        after = trial_status.of(trial, seen, end, self._clock.now())
        written = await write_status(self._client, kinds.TRIALS, trial, after)
        for condition in status.news(trial, after):
            if condition["type"] in _EXPECTED:
                continue
            bad = condition["type"] in {kinds.FAILED, kinds.METRICS_UNAVAILABLE, kinds.KILLED}
            await self._recorder.event(
                trial,
                "Warning" if bad else "Normal",
                condition["reason"],
                condition["message"],
            )
        return written

    async def _clear_up(self, trial: Object, resource: Resource | None) -> None:
        """Remove what a finished trial has run, unless it is to stay."""
        self._fit.pop(metadata.uid(trial), None)
        self._collecting.leave(trial)
        run = await self._release(trial, resource)
        if run is None or resource is None or trial["spec"].get("retainRun"):
            return
        at_work = workloads.verdict(trial, run) is None
        await self._runs.remove(resource, run, wait=at_work)

    async def _release(self, trial: Object, resource: Resource | None) -> Object | None:
        """Let go of what a trial runs, and of its pods; return it, None where there is none."""
        await self._runs.release_pods(_request(trial))
        run = None if resource is None else await self._runs.find(trial, resource)
        if run is not None and resource is not None:
            await self._runs.release(resource, run)
        return run


def _request(trial: Object) -> Request:
    return Request(metadata.namespace(trial), metadata.name(trial))


def _deleted(resource: Resource) -> str:
    return f"its {resource.kind} was deleted while it ran"


def _made_ready(trial: Object) -> Object:
    """Return what a trial runs, with what its metrics and checkpoints need."""
    made = workloads.made_ready(trial, runs.run_spec(trial))
    container = str(trial["spec"].get("primaryContainerName") or "")
    hold = holding.is_needed(made)
    if hold:
        holding.hold(made)
    for template in workloads.pod_templates(made):
        if workloads.has_container(template, container):
            trial_pods.complete(trial, template)
            if hold:
                holding.hold(template)
    return made


def _is_running(run: Object, pods: Sequence[Object]) -> bool:
    # Of what has no pods that we know of, its having a status has to do.
    return workloads.is_running(pods) if pods else bool(run.get("status"))


def _end(
    trial: Object,
    verdict: workloads.Verdict | None,
    state: State,
    pods: Sequence[Object],
) -> Verdict | None:
    """Return how a trial ends now; None while it goes on."""
    if state.stopped:
        return trial_status.early_stopped(state.stopped)
    if verdict is None or not state.finished:
        return None
    if not verdict.succeeded:
        words = workloads.last_words(pods) or "\n".join(state.last_lines[-_LAST_LINES:])
        told = "; ".join(each for each in (verdict.message, words) if each)
        return trial_status.failed(verdict.reason, told)
    wanted, found = collecting.wanted_of(trial).metrics[:1], collectors.of(trial)
    for metric in wanted if found is not None and found.kind != _NO_METRICS else ():
        if state.summary(metric) is None:
            return trial_status.without_metrics(metric, state.problem, state.last_lines)
    return trial_status.succeeded(verdict.reason, verdict.message)


def controller(manager: Manager, metrics: Collecting) -> Controller:
    """Return the controller of trials."""
    return Controller(
        name=TRIAL_CONTROLLER,
        resource=kinds.TRIALS,
        reconciler=TrialReconciler(manager, metrics),
        watches=(Watch(core.PODS, runs.pod_requests, runs.pod_matters),),
        workers=_WORKERS,
    )

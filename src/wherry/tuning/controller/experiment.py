"""One experiment, one step: count its trials, end it, or have more of them proposed and made."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wherry.controller import apply, finalizers
from wherry.controller import rights as reviews
from wherry.controller.controller import Controller
from wherry.controller.errors import ForeignOwnerError
from wherry.controller.manager import Manager
from wherry.controller.owners import is_controlled_by
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import conditions, errors, metadata
from wherry.objects import kinds as core
from wherry.objects.declared import makers
from wherry.objects.requests import Object
from wherry.tuning import (
    admission,
    defaults,
    kinds,
    rights,
    search,
    status,
    suggestions,
    templates,
    trials,
)
from wherry.tuning.controller.counting import Count, Counts
from wherry.tuning.status import Verdict
from wherry.tuning.tally import Tally

STATUS_SECONDS: Final = 0.5
"""How often counts alone are written at most; ends and a better optimum are written at once."""
KATIBS_FINALIZER: Final = "update-prometheus-metrics"
"""What comes from a Katib carries it, and could never go."""
_BATCH: Final = 64
_MISSING_SECONDS: Final = 2.0
_SEARCH_ENDED: Final = "SuggestionSucceeded"


@dataclass(slots=True)
class _Memory:
    """What saves work; nothing is lost with it.

    Attributes:
        count: Of its trials.
        written: When its status was written, by the monotonic clock.
        checked: Its generation when nothing was found wrong with it.
    """

    count: Count
    written: float = float("-inf")
    checked: int = -1


@dataclass(frozen=True, slots=True)
class _View:
    """An experiment with all that belongs to it.

    Attributes:
        stored: As it is stored.
        obj: With defaults filled in.
        suggestion: None: there is none yet.
        memory: What is known of it from before.
    """

    stored: Object
    obj: Object
    suggestion: Object | None
    memory: _Memory

    @property
    def count(self) -> Count:
        """Its trials, those on their way out among them."""
        return self.memory.count

    @property
    def tally(self) -> Tally:
        """What its trials come to."""
        return self.memory.count.tally


class ExperimentReconciler:
    """Takes experiments a step nearer to their end."""

    def __init__(self, manager: Manager) -> None:
        """Take what it works with.

        Args:
            manager: Gives client, caches, clock and recorder.
        """
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("experiment-controller")
        self._experiments = manager.cache(kinds.EXPERIMENTS)
        self._suggestions = manager.cache(kinds.SUGGESTIONS)
        self._trials = manager.cache(kinds.TRIALS)
        self._definitions = manager.cache(core.CUSTOM_RESOURCE_DEFINITIONS)
        self._counts = Counts(self._trials)
        self._memories: dict[Request, _Memory] = {}
        self._specs: dict[Request, tuple[tuple[str, int], Object]] = {}

    async def reconcile(self, request: Request) -> Result | None:
        """Take one step."""
        stored = self._experiments.get(*request)
        if stored is None or metadata.is_deleting(stored):
            self._memories.pop(request, None)
            self._specs.pop(request, None)
            if stored is not None:
                await finalizers.remove_finalizer(
                    self._client, kinds.EXPERIMENTS, stored, KATIBS_FINALIZER
                )
            return None
        view = self._view(request, stored)
        if status.is_finished(stored):
            return await self._after_end(view)
        end = self._refusal(view) or self._verdict(view)
        if end is None:
            try:
                await self._work(view)
            except templates.MissingTemplateError as error:
                return await self._wait(view, f"spec.trialTemplate: {error}")
            except templates.TemplateError as error:
                message = f"spec.trialTemplate: {error}"
                end = Verdict(kinds.FAILED, status.EXPERIMENT_FAILED, message)
        return await self._write(view, end)

    async def _wait(self, view: _View, message: str) -> Result:
        """Say what is missing; trials that run do so, and what is missing may come back."""
        running = conditions.get(view.stored, kinds.RUNNING)
        if running is None or running.get("reason") != status.TEMPLATE_MISSING:
            reason = status.TEMPLATE_MISSING
            await self._recorder.event(view.stored, "Warning", reason, message)
        await self._write(view, None, message)
        return Result(requeue_after_seconds=_MISSING_SECONDS)

    def _view(self, request: Request, stored: Object) -> _View:
        obj = self._with_defaults(request, stored)
        objectives = search.objectives(obj["spec"])
        memory = self._memories.get(request)
        known = memory.count if memory is not None else None
        if memory is None or known is None or known.uid != metadata.uid(stored):
            memory = self._memories[request] = _Memory(self._counts.of(stored, objectives))
        elif known.objectives != objectives:
            memory.count = self._counts.of(stored, objectives)
        else:
            known.look()
        suggestion = self._suggestions.get(*metadata.namespaced_name(stored))
        if suggestion is not None and not is_controlled_by(suggestion, stored):
            suggestion = None
        return _View(stored, obj, suggestion, memory)

    def _with_defaults(self, request: Request, stored: Object) -> Object:
        """Return an experiment with defaults filled in, of each of its generations once."""
        which = metadata.uid(stored), int(stored["metadata"].get("generation") or 0)
        known = self._specs.get(request)
        if known is None or known[0] != which:
            known = self._specs[request] = which, defaults.default(stored)["spec"]
        return {**stored, "spec": known[1]}

    def _verdict(self, view: _View) -> Verdict | None:
        """Return how an experiment ends now; None while it goes on."""
        if status.verdict(view.obj, view.tally, view.suggestion) is None:
            return None
        view.count.count_all()
        return status.verdict(view.obj, view.tally, view.suggestion)

    def _refusal(self, view: _View) -> Verdict | None:
        """Return why an experiment cannot be run that came in where no webhook has looked at it."""
        generation = view.stored["metadata"].get("generation", 0)
        if view.memory.checked == generation:
            return None
        causes = admission.validate(view.obj, None)
        if not causes:
            view.memory.checked = generation
            return None
        told = "; ".join(f"{each.field}: {each.message}" for each in causes)
        message = f"Experiment cannot be run: {told}"
        return Verdict(kinds.FAILED, status.EXPERIMENT_FAILED, message)

    async def _write(self, view: _View, end: Verdict | None, waiting: str = "") -> Result | None:
        """Write the status, and tell what has changed in it."""
        now = self._clock.now()
        after = status.of(
            view.stored, view.tally, trials=view.count.trial, end=end, now=now, waiting=waiting
        )
        before = view.stored.get("status") or {}
        if after == before:
            return None
        urgent = any(
            after.get(each) != before.get(each) for each in ("conditions", "currentOptimalTrial")
        )
        wait = view.memory.written + STATUS_SECONDS - self._clock.monotonic()
        if wait > 0 and not urgent:
            return Result(requeue_after_seconds=wait)
        await write_status(self._client, kinds.EXPERIMENTS, view.stored, after)
        view.memory.written = self._clock.monotonic()
        for condition in status.news(view.stored, after):
            bad = condition["type"] == kinds.FAILED
            reason, message = condition["reason"], condition["message"]
            await self._recorder.event(view.stored, "Warning" if bad else "Normal", reason, message)
        return None

    async def _work(self, view: _View) -> None:
        """Have as many trials run as may."""
        spec, counted = view.obj["spec"], view.tally
        parallel = int(spec["parallelTrialCount"])
        most = spec.get("maxTrialCount")
        room = parallel if most is None else max(0, min(parallel, most - counted.completed))
        if counted.active > room:
            await self._trim(view, counted.surplus(room))
            return
        waiting: Sequence[Object] = ()
        if view.suggestion is not None:
            waiting = suggestions.unmade(view.suggestion, view.count.is_made)
        due = waiting[: room - counted.active]
        missing = room - counted.active - len(due)
        if missing:
            left = None if most is None else most - counted.completed - room
            more = suggestions.ahead(spec)
            missing += more if left is None else min(more, max(0, left))
        await self._request(view, missing)
        if due:
            await self._make(view, due)

    async def _trim(self, view: _View, names: Sequence[str]) -> None:
        """Delete the newest of too many trials; first, that nobody makes them again."""
        if view.suggestion is not None:
            await self._withdraw(view.suggestion, names)
        for name in names:
            trial = view.count.trial(name)
            if trial is None:
                continue
            await apply.delete_if_present(self._client, kinds.TRIALS, trial)
            message = f"Deleted trial {name}: parallelTrialCount is lower now"
            await self._recorder.event(view.stored, "Normal", "TrialDeleted", message)

    async def _withdraw(self, suggestion: Object, names: Sequence[str]) -> None:
        held = (suggestion.get("status") or {}).get("suggestions") or ()
        dropped = {each.get("name") for each in held} & set(names)
        if not dropped:
            return
        # First, or they would be taken for missing ones.
        requests = suggestions.count(suggestion) - len(dropped)
        suggestion = await self._ask_for(suggestion, requests)
        after = suggestions.trimmed(suggestion, dropped, self._clock.now())
        await write_status(self._client, kinds.SUGGESTIONS, suggestion, after)

    async def _ask_for(self, suggestion: Object, requests: int) -> Object:
        if suggestion["spec"].get("requests") == requests:
            return suggestion
        where = metadata.namespaced_name(suggestion)
        patch = {"spec": {"requests": requests}}
        return await self._client.patch(kinds.SUGGESTIONS, where.name, patch, where.namespace)

    async def _request(self, view: _View, missing: int) -> None:
        """Ask for as many proposals as are missing."""
        if view.suggestion is None:
            wanted = suggestions.made_for(view.obj, missing)
            try:
                await apply.create_if_absent(self._client, None, kinds.SUGGESTIONS, wanted)
            except ForeignOwnerError as error:
                await self._recorder.event(view.stored, "Warning", "NameTaken", str(error))
                raise
            return
        held = suggestions.wanted(view.suggestion)
        if 0 < held < missing:
            # It is being answered; what is missing then is asked for at once.
            return
        await self._ask_for(view.suggestion, suggestions.count(view.suggestion) + missing)

    async def _make(self, view: _View, due: Sequence[Object]) -> None:
        text = await self._template(view.obj)
        made = [trials.trial(view.obj, proposal, text) for proposal in due]
        await self._check_rights(view.stored, made)
        for start in range(0, len(made), _BATCH):
            batch = made[start : start + _BATCH]
            await asyncio.gather(*(self._make_one(trial) for trial in batch))

    async def _check_rights(self, experiment: Object, made: Sequence[Object]) -> None:
        """See that who made an experiment may have its trials' work made.

        Raises:
            TemplateError: they may not.
        """
        wanted = {
            each
            for trial in made
            for each in rights.of_run(
                trial["spec"]["runSpec"], metadata.namespace(experiment), "it"
            )
        }
        for each in wanted:
            resource = reviews.resource_of(self._definitions.list(), each)
            maker = makers.read(experiment, rights.MAKER)
            if told := await reviews.lacking(self._client, maker, each, resource):
                raise templates.TemplateError(told)

    async def _make_one(self, trial: Object) -> None:
        await apply.create_if_absent(self._client, self._trials, kinds.TRIALS, trial)

    async def _template(self, experiment: Object) -> str | None:
        """Return the text of a template that stands in a ConfigMap; it is read for each batch.

        Raises:
            MissingTemplateError: it is not there.
        """
        source = templates.source(experiment["spec"].get("trialTemplate") or {})
        if source is None:
            return None
        namespace, name, path = (
            str(source.get(each) or "")
            for each in ("configMapNamespace", "configMapName", "templatePath")
        )
        try:
            found = await self._client.get(core.CONFIG_MAPS, name, namespace)
        except errors.NotFoundError:
            told = f"there is no ConfigMap {namespace}/{name}"
            raise templates.MissingTemplateError(told) from None
        data = found.get("data") or {}
        if path not in data:
            told = ", ".join(sorted(data)) or "nothing"
            told = f"ConfigMap {namespace}/{name} holds {told}, not {path}"
            raise templates.MissingTemplateError(told)
        return str(data[path])

    async def _after_end(self, view: _View) -> Result | None:
        now = self._clock.now()
        if status.may_restart(view.obj, view.tally):
            if view.suggestion is not None and status.is_finished(view.suggestion):
                after = suggestions.resumed(view.suggestion, now)
                await write_status(self._client, kinds.SUGGESTIONS, view.suggestion, after)
            after = status.restarted(view.stored, now)
            await write_status(self._client, kinds.EXPERIMENTS, view.stored, after)
            await self._recorder.event(
                view.stored, "Normal", "ExperimentRestarting", "Experiment is restarted"
            )
            return None
        await self._end_suggestion(view)
        return await self._write(view, None)

    async def _end_suggestion(self, view: _View) -> None:
        policy = view.obj["spec"].get("resumePolicy")
        if view.suggestion is None or status.is_finished(view.suggestion):
            return
        if policy == kinds.LONG_RUNNING and not conditions.is_true(view.stored, kinds.FAILED):
            return
        message = "Suggestion is succeeded"
        end = Verdict(kinds.SUCCEEDED, _SEARCH_ENDED, message)
        after = suggestions.ended(view.suggestion, end, self._clock.now())
        await write_status(self._client, kinds.SUGGESTIONS, view.suggestion, after)


def controller(manager: Manager) -> Controller:
    """Return the controller of experiments."""
    return Controller(
        name="experiment",
        resource=kinds.EXPERIMENTS,
        reconciler=ExperimentReconciler(manager),
        owns=(kinds.TRIALS, kinds.SUGGESTIONS),
        workers=8,
    )

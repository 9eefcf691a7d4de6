"""One suggestion, one step: ask the algorithm for what is wanted, write down what it says.

Questions are put to the algorithms' own process (`asking`); the answer is written before anybody
makes a trial of it. A question that went unanswered because this process ended is put again.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from wherry.controller.controller import Controller, Watch
from wherry.controller.errors import ForeignOwnerError
from wherry.controller.manager import Manager
from wherry.controller.owners import is_controlled_by
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import conditions, errors, metadata
from wherry.objects.requests import Object
from wherry.tuning import algorithms, defaults, kinds, search, status, stoppers, suggestions
from wherry.tuning.algorithm import Answer, PastTrial, Question
from wherry.tuning.asking import Asker, AskError
from wherry.tuning.collecting import Collecting
from wherry.tuning.controller.services import Others, Runner
from wherry.tuning.services import ConfigError
from wherry.tuning.status import Verdict
from wherry.tuning.stopping import Rule

_NAME: Final = "suggestion"
_TRIES: Final = 5
_AGAIN_SECONDS: Final = 1.0


class SuggestionReconciler:
    """Takes suggestions a step nearer to what their experiments want of them."""

    def __init__(self, manager: Manager, asker: Asker, collecting: Collecting) -> None:
        """Take what it works with.

        Args:
            manager: Gives client, caches, clock and recorder.
            asker: The way to the algorithms.
            collecting: Knows the courses of metrics.
        """
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("suggestion-controller")
        self._experiments = manager.cache(kinds.EXPERIMENTS)
        self._suggestions = manager.cache(kinds.SUGGESTIONS)
        self._trials = manager.cache(kinds.TRIALS)
        self._asker = asker
        self._collecting = collecting
        self._runner = Runner(manager, _NAME)
        self._failures: dict[str, int] = {}
        self._pasts: dict[Request, search.Pasts] = {}

    async def reconcile(self, request: Request) -> Result | None:
        """Take one step."""
        suggestion = self._suggestions.get(*request)
        if suggestion is None or metadata.is_deleting(suggestion):
            self._pasts.pop(request, None)
            return None
        stored = self._experiments.get(*request)
        if stored is None or not is_controlled_by(suggestion, stored):
            return None
        if status.is_finished(suggestion):
            self._pasts.pop(request, None)
            await self._runner.end(suggestion)
            return None
        return await self._step(stored, suggestion)

    async def _step(self, stored: Object, suggestion: Object) -> Result | None:
        told = suggestion.get("status") or {}
        idle = told.get("ended") or not suggestions.wanted(suggestion)
        if idle and told.get("conditions"):
            return None
        try:
            await self._go_on(defaults.default(stored), suggestion)
        except ConfigError as error:
            await self._fail(suggestion, str(error))
        except (AskError, ForeignOwnerError) as error:
            return await self._trouble(suggestion, str(error))
        self._failures.pop(metadata.uid(suggestion), None)
        return None

    async def _go_on(self, experiment: Object, suggestion: Object) -> None:
        """Ask, where all who have to be asked are there.

        Raises:
            ConfigError: asking will never do.
        """
        others = await self._runner.begin(suggestion)
        if others.waiting:
            after = suggestions.waiting(suggestion, others.waiting, self._clock.now())
            await write_status(self._client, kinds.SUGGESTIONS, suggestion, after)
            return
        if not conditions.is_true(suggestion, kinds.RUNNING):
            await others.check(experiment)
        await self._ask(experiment, suggestion, others)

    async def _ask(self, experiment: Object, suggestion: Object, others: Others) -> None:
        trials = self._trials.owned_by(metadata.uid(experiment))
        name = str(experiment["spec"]["algorithm"]["algorithmName"])
        wanted = suggestions.wanted(suggestion)
        answer = Answer()
        rules: tuple[Rule, ...] = ()
        if wanted:
            past = await self._past(experiment, suggestion, trials)
            question = Question(
                search=search.of(experiment),
                trials=past,
                wanted=wanted,
                state=suggestions.state(suggestion),
            )
            answer = await (others.algorithm or self._asker).propose(name, question)
            if answer.proposals:
                rules = await others.rules(experiment, question) or self._rules(experiment, past)
            self._check(name, answer, past)
        after = suggestions.answered(
            experiment,
            suggestion,
            answer,
            rules=rules,
            is_made=lambda each: self._is_made(experiment, each),
            now=self._clock.now(),
        )
        await self._write(suggestion, after)

    async def _write(self, suggestion: Object, after: dict[str, Any]) -> None:
        """Write a status, also where only the number of proposals has been raised meanwhile.

        Raises:
            ConflictError: what the answer rests on has changed: ask again.
        """
        try:
            await write_status(self._client, kinds.SUGGESTIONS, suggestion, after)
        except errors.ConflictError:
            where = metadata.namespaced_name(suggestion)
            now = await self._client.get(kinds.SUGGESTIONS, where.name, where.namespace)
            same = metadata.uid(now) == metadata.uid(suggestion)
            if not same or now.get("status") != suggestion.get("status"):
                raise
            await write_status(self._client, kinds.SUGGESTIONS, now, after)

    def _check(self, name: str, answer: Answer, past: Sequence[PastTrial]) -> None:
        """See that an algorithm that proposes nothing has something to wait for.

        Raises:
            AskError: it has not: nothing would ever happen again.
        """
        waits = any(each.state in {kinds.CREATED, kinds.RUNNING} for each in past)
        if not answer.proposals and not answer.ended and not waits:
            raise AskError(
                f"{name} proposes nothing, although no trial runs that it could wait for"
            )

    async def _past(
        self, experiment: Object, suggestion: Object, trials: Sequence[Object]
    ) -> list[PastTrial]:
        curves: dict[str, tuple[float, ...]] = {}
        if self._needs_curves(experiment):
            curves = await self._collecting.curves(trials)
        pasts = self._pasts.setdefault(_place(suggestion), search.Pasts())
        past = pasts.of(trials, curves)
        unmade = suggestions.unmade(suggestion, lambda each: self._is_made(experiment, each))
        past += map(search.proposed, unmade)
        return sorted(past, key=lambda each: (each.index, each.name))

    def _is_made(self, experiment: Object, name: str) -> bool:
        found = self._trials.get(metadata.namespace(experiment), name)
        return found is not None and is_controlled_by(found, experiment)

    def _needs_curves(self, experiment: Object) -> bool:
        spec = experiment["spec"]
        chosen = (
            algorithms.find(str(spec["algorithm"]["algorithmName"])),
            stoppers.find(str((spec.get("earlyStopping") or {}).get("algorithmName") or "")),
        )
        return any(each is not None and each.needs_curves for each in chosen)

    def _rules(self, experiment: Object, past: Sequence[PastTrial]) -> tuple[Rule, ...]:
        chosen = experiment["spec"].get("earlyStopping") or {}
        stopper = stoppers.find(str(chosen.get("algorithmName") or ""))
        if stopper is None:
            return ()
        objective = search.objectives(experiment["spec"])[0]
        return stopper.rules(objective, search.settings(chosen), past)

    async def _trouble(self, suggestion: Object, message: str) -> Result | None:
        """Try again a few times, for it may have been the process; then say that it failed."""
        uid = metadata.uid(suggestion)
        failures = self._failures[uid] = self._failures.get(uid, 0) + 1
        await self._recorder.event(suggestion, "Warning", "AlgorithmFailed", message)
        if failures < _TRIES:
            return Result(requeue_after_seconds=_AGAIN_SECONDS * failures)
        del self._failures[uid]
        await self._fail(suggestion, message)
        return None

    async def _fail(self, suggestion: Object, message: str) -> None:
        end = Verdict(kinds.FAILED, "SuggestionFailed", message)
        after = suggestions.ended(suggestion, end, self._clock.now())
        await write_status(self._client, kinds.SUGGESTIONS, suggestion, after)


def _place(obj: Object) -> Request:
    return Request(*metadata.namespaced_name(obj))


def _suggestion_of(obj: Object) -> Iterable[Request]:
    reference = metadata.controller_of(obj)
    if reference is None or reference.get("kind") != kinds.EXPERIMENTS.kind:
        return ()
    return (Request(metadata.namespace(obj), reference["name"]),)


def controller(manager: Manager, asker: Asker, collecting: Collecting) -> Controller:
    """Return the controller of suggestions."""
    return Controller(
        name=_NAME,
        resource=kinds.SUGGESTIONS,
        reconciler=SuggestionReconciler(manager, asker, collecting),
        # An algorithm may wait for trials.
        watches=(Watch(kinds.TRIALS, _suggestion_of),),
        workers=8,
    )

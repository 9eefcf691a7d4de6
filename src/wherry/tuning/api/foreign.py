"""Search algorithms and stoppers that somebody else serves, by Katib's gRPC API: asked like our own."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.objects.errors import Cause
from wherry.tuning.algorithm import Answer, Question, Search
from wherry.tuning.asking import AskError
from wherry.tuning.stopping import Rule

_FIELD: Final = "spec.algorithm.algorithmSettings"
_STOPPER_FIELD: Final = "spec.earlyStopping.algorithmSettings"
_DATABASE: Final = "katib-db-manager.kubeflow:6789"


class _Way:
    """The way to one service.

    No thread waits for an answer: a service that gives none must not hold up what else is done in
    threads, nor the end of this process.
    """

    def __init__(self, address: str, deadline_seconds: float) -> None:
        self._address = address
        self._deadline_seconds = deadline_seconds

    async def ask(self, method: str, request: Any) -> Any:
        """Return the reply to a question.

        Raises:
            AskError: nobody answers, or the answer is an error.
        """
        import grpc  # noqa: PLC0415 - large; see the package

        try:
            return await self._call(method, request)
        except grpc.RpcError as error:
            raise self._error(error) from error

    async def causes(self, method: str, request: Any, field: str) -> list[Cause]:
        """Have something validated; a service that cannot do that finds nothing wrong.

        Raises:
            AskError: nobody answers.
        """
        import grpc  # noqa: PLC0415 - large; see the package

        try:
            await self._call(method, request)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                return [Cause(field, f"Invalid value: {error.details()}")]
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise self._error(error) from error
        return []

    async def _call(self, method: str, request: Any) -> Any:
        import grpc  # noqa: PLC0415 - large; see the package

        from wherry.tuning.api import messages  # noqa: PLC0415 - likewise

        reply = messages.MESSAGES[f"{method.rpartition('/')[2]}Reply"]
        loop, answered = asyncio.get_running_loop(), asyncio.Event()

        def told(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # nobody waits any more: the loop is closed
                loop.call_soon_threadsafe(answered.set)

        with grpc.insecure_channel(self._address) as channel:
            asked: grpc.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
                f"/{messages.PACKAGE}.{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=reply.FromString,
            )
            call = asked.future(request, timeout=self._deadline_seconds, wait_for_ready=True)
            call.add_done_callback(told)
            try:
                await answered.wait()
            finally:
                call.cancel()
            return call.result()

    def _error(self, error: Any) -> AskError:
        told = f"{error.code().name}: {error.details()}"
        return AskError(f"the suggestion service at {self._address}: {told}")


class ForeignAsker:
    """The way to one service; with the methods of `asking.Asker`."""

    def __init__(self, address: str, *, deadline_seconds: float = 120.0) -> None:
        """Name it; nothing is opened yet.

        Args:
            address: ``host:port``.
            deadline_seconds: How long one question may take, the service's start included.
        """
        self._way = _Way(address, deadline_seconds)

    async def propose(self, name: str, question: Question) -> Answer:
        """Return what the service proposes.

        Raises:
            AskError: nobody answers, or the answer is not right.
        """
        from wherry.tuning.api import translating  # noqa: PLC0415 - large; see the package

        asked = translating.request(name, question)
        replied = await self._way.ask("Suggestion/GetSuggestions", asked)
        return translating.answer(replied, question.search)

    async def validate(self, name: str, search: Search) -> Sequence[Cause]:
        """Return what the service finds wrong with a search.

        Raises:
            AskError: nobody answers. A service that cannot validate finds nothing wrong.
        """
        from wherry.tuning.api import messages, translating  # noqa: PLC0415 - large; see the package

        experiment = translating.experiment(name, search, {})
        asked = messages.new("ValidateAlgorithmSettingsRequest", experiment=experiment)
        return await self._way.causes("Suggestion/ValidateAlgorithmSettings", asked, _FIELD)

    async def close(self) -> None:
        """Do nothing: no connection is kept."""


class ForeignStopper:
    """The way to an early-stopping service: its rules, as a stopper of ours gives them."""

    def __init__(self, address: str, name: str, *, deadline_seconds: float = 120.0) -> None:
        """Name it; nothing is opened yet.

        Args:
            address: ``host:port``.
            name: Of the stopper.
            deadline_seconds: How long one question may take, the service's start included.
        """
        self._way = _Way(address, deadline_seconds)
        self._name = name

    async def rules(
        self, algorithm: str, question: Question, settings: Mapping[str, str]
    ) -> tuple[Rule, ...]:
        """Return the rules of trials that are made now.

        Args:
            algorithm: Of the search.
            question: What its algorithm was asked.
            settings: Of the stopper.

        Raises:
            AskError: nobody answers, or the answer is not right.
        """
        from wherry.tuning.api import messages, translating  # noqa: PLC0415 - large; see the package

        whole = translating.request(algorithm, question)
        whole.experiment.spec.early_stopping.MergeFrom(self._spec(settings))
        asked = messages.new(
            "GetEarlyStoppingRulesRequest",
            experiment=whole.experiment,
            trials=whole.trials,
            db_manager_address=_DATABASE,
        )
        return translating.rules(await self._way.ask("EarlyStopping/GetEarlyStoppingRules", asked))

    async def validate(self, settings: Mapping[str, str]) -> Sequence[Cause]:
        """Return what the service finds wrong with settings.

        Raises:
            AskError: nobody answers.
        """
        from wherry.tuning.api import messages  # noqa: PLC0415 - large; see the package

        spec = self._spec(settings)
        asked = messages.new("ValidateEarlyStoppingSettingsRequest", early_stopping=spec)
        method = "EarlyStopping/ValidateEarlyStoppingSettings"
        return await self._way.causes(method, asked, _STOPPER_FIELD)

    def _spec(self, settings: Mapping[str, str]) -> Any:
        from wherry.tuning.api import messages  # noqa: PLC0415 - large; see the package

        given = [
            messages.new("EarlyStoppingSetting", name=name, value=value)
            for name, value in settings.items()
        ]
        return messages.new(
            "EarlyStoppingSpec", algorithm_name=self._name, algorithm_settings=given
        )

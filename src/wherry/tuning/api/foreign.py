"""Search algorithms that somebody else serves, by Katib's gRPC API: asked like our own."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from wherry.objects.errors import Cause
from wherry.tuning.algorithm import Answer, Question, Search
from wherry.tuning.asking import AskError

T = TypeVar("T")
_FIELD: Final = "spec.algorithm.algorithmSettings"


class ForeignAsker:
    """The way to one service; with the methods of `asking.Asker`."""

    def __init__(self, address: str, *, deadline_seconds: float = 120.0) -> None:
        """Name it; nothing is opened yet.

        Args:
            address: ``host:port``.
            deadline_seconds: How long one question may take, the service's start included.
        """
        self._address = address
        self._deadline_seconds = deadline_seconds

    async def propose(self, name: str, question: Question) -> Answer:
        """Return what the service proposes.

        Raises:
            AskError: nobody answers, or the answer is not right.
        """
        return await asyncio.to_thread(self._propose, name, question)

    async def validate(self, name: str, search: Search) -> Sequence[Cause]:
        """Return what the service finds wrong with a search.

        Raises:
            AskError: nobody answers. A service that cannot validate finds nothing wrong.
        """
        return await asyncio.to_thread(self._validate, name, search)

    async def close(self) -> None:
        """Do nothing: no connection is kept."""

    def _propose(self, name: str, question: Question) -> Answer:
        from wherry.tuning.api import translating  # noqa: PLC0415 - large; see the package

        def ask(call: Callable[..., Any]) -> Answer:
            replied = call("Suggestion/GetSuggestions", translating.request(name, question))
            return translating.answer(replied, question.search)

        return self._with(ask)

    def _validate(self, name: str, search: Search) -> list[Cause]:
        import grpc  # noqa: PLC0415 - large; see the package

        from wherry.tuning.api import messages, translating  # noqa: PLC0415 - likewise

        def ask(call: Callable[..., Any]) -> list[Cause]:
            experiment = translating.experiment(name, search, {})
            asked = messages.new("ValidateAlgorithmSettingsRequest", experiment=experiment)
            try:
                call("Suggestion/ValidateAlgorithmSettings", asked)
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                    return [Cause(_FIELD, f"Invalid value: {error.details()}")]
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    raise
            return []

        return self._with(ask)

    def _with(self, work: Callable[[Callable[..., Any]], T]) -> T:
        import grpc  # noqa: PLC0415 - large; see the package

        from wherry.tuning.api import messages  # noqa: PLC0415 - likewise

        with grpc.insecure_channel(self._address) as channel:

            def call(method: str, request: Any) -> Any:
                reply = messages.MESSAGES[f"{method.rpartition('/')[2]}Reply"]
                asked: grpc.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
                    f"/{messages.PACKAGE}.{method}",
                    request_serializer=lambda message: message.SerializeToString(),
                    response_deserializer=reply.FromString,
                )
                return asked(request, timeout=self._deadline_seconds, wait_for_ready=True)

            try:
                return work(call)
            except grpc.RpcError as error:
                told = f"{error.code().name}: {error.details()}"
                raise AskError(f"the suggestion service at {self._address}: {told}") from error

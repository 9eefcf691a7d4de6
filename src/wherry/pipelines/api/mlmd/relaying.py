"""Passes calls of the metadata service on to the process that answers them, unread."""

import http.client
from collections.abc import Callable
from typing import Any, Final

import grpc

from wherry.pipelines.api import sending
from wherry.pipelines.api.mlmd import frames
from wherry.pipelines.api.mlmd.frames import Answer
from wherry.pipelines.api.transcoding import RestCall

_PREFIX: Final = f"/{frames.SERVICE}/"
_UNAVAILABLE: Final = grpc.StatusCode.UNAVAILABLE.value[0]
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class Metadata(grpc.GenericRpcHandler):
    """Handles all calls of ``ml_metadata.MetadataStoreService``."""

    def __init__(self, url: str) -> None:
        """Take where the service is."""
        self._url = url

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return what handles a call; None: it is none of this service."""
        method: str = handler_call_details.method
        if not method.startswith(_PREFIX):
            return None
        return grpc.unary_unary_rpc_method_handler(self._passing_on(method))

    def _passing_on(self, method: str) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def pass_on(message: bytes, context: grpc.ServicerContext) -> bytes:
            headers = [*sending.passed(context), ("Content-Type", frames.BINARY)]
            answer = self._answer(RestCall("POST", method, frames.frame(message)), headers)
            if answer.code:
                context.abort(_CODES.get(answer.code, grpc.StatusCode.UNKNOWN), answer.said)
            return answer.message

        return pass_on

    def _answer(self, call: RestCall, headers: sending.Headers) -> Answer:
        try:
            _, body = sending.sent(self._url, call, headers)
            return frames.read(body)
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            return Answer(_UNAVAILABLE, f"the service cannot be asked: {error}")

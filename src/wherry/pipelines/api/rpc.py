"""The process that serves the API by gRPC: ``python -m wherry.pipelines.api.rpc ADDRESS``.

It knows nothing by itself: a call becomes the REST call that says the same, sent to the service whose URL
is in the variable ``WHERRY_PIPELINES_API``. What happens is told by lines of JSON on standard output, the
first when it serves. It ends when its standard input does: with whoever has started it.
"""

import concurrent.futures
import http.client
import json
import os
import sys
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2, json_format

from wherry.controller.serving import relayed
from wherry.objects import message_classes
from wherry.pipelines.api import (
    messages,
    methods,
    sending,
    transcoding,
    uploading,
    v1beta1_tables,
)
from wherry.pipelines.api.methods import Method
from wherry.pipelines.api.mlmd import relaying
from wherry.pipelines.api.reflection import Reflection

PACKAGE: Final = "kubeflow.pipelines.backend.api.v2beta1"
_PACKAGES: Final = {
    methods.PREFIX: PACKAGE,
    v1beta1_tables.PREFIX: "api",
    v1beta1_tables.ALPHA_PREFIX: "api",
}
"""By where their methods are in REST; messages are the same on the wire, whatever their package."""
_OTHERWISE: Final = {
    "VisualizationServiceV1.CreateVisualization": "VisualizationService/CreateVisualizationV1"
}
"""Methods that upstream calls as another one of another package."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""An answer is no larger: pages of runs may be."""
_THREADS: Final = 8
_MOST_CALLS: Final = 256
"""At once, with those that wait for a thread; more are told to come again."""
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def classes() -> dict[str, Any]:
    """Return the classes of the API's messages."""
    return message_classes.classes(PACKAGE, messages.MESSAGES, messages.ENUMS)


def name(method: Method) -> str:
    """Return what a method is called by gRPC, such as ``api.JobService/GetJob``; empty: it is not."""
    if method.is_stream or uploading.is_upload(method):
        return ""
    last = _OTHERWISE.get(method.key) or f"{method.service}/{method.name}"
    packages = (package for prefix, package in _PACKAGES.items() if method.path.startswith(prefix))
    return next((f"{package}.{last}" for package in packages), "")


def serve(url: str, address: str) -> grpc.Server:
    """Return a server that has been started.

    Args:
        url: Of the service.
        address: ``host:port`` or ``unix:/path``.

    Raises:
        RuntimeError: the address is taken.
    """
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(_THREADS),
        maximum_concurrent_rpcs=_MOST_CALLS,
        options=[("grpc.max_send_message_length", MOST_BYTES)],
    )
    known = classes()
    handlers: dict[str, dict[str, Any]] = {}
    described: dict[str, dict[str, tuple[Any, Any]]] = {}
    for method in methods.METHODS:
        if called := name(method):
            service, _, last = called.partition("/")
            handlers.setdefault(service, {})[last] = _handler(method, url, known)
            taken, given = _class(method.request, known), _class(method.response, known)
            described.setdefault(service, {})[last] = taken, given
    for service, some in handlers.items():
        handler = grpc.method_handlers_generic_handler(service, some)
        server.add_generic_rpc_handlers((handler,))
    pool = known["Status"].DESCRIPTOR.file.pool
    server.add_generic_rpc_handlers((relaying.Metadata(url), Reflection(described, pool)))
    server.add_insecure_port(address)
    server.start()
    return server


def _handler(method: Method, url: str, known: dict[str, Any]) -> Any:
    asked = _class(method.request, known)

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        said = json_format.MessageToDict(request, preserving_proto_field_name=True)
        status, body = _called(url, transcoding.rest_call(method, said), sending.passed(context))
        if status != 200:
            context.abort(_CODES.get(body.get("code"), grpc.StatusCode.UNKNOWN), body["message"])
        return json_format.ParseDict(body, _class(method.response, known)())

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=asked.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )


def _class(message: str, known: dict[str, Any]) -> Any:
    return empty_pb2.Empty if message == methods.EMPTY else known[message]


def _called(
    url: str, call: transcoding.RestCall, headers: list[tuple[str, str]]
) -> tuple[int, Any]:
    try:
        status, body = sending.sent(url, call, headers)
        return status, json.loads(body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return 503, {
            "code": grpc.StatusCode.UNAVAILABLE.value[0],
            "message": f"the service cannot be asked: {error}",
        }


def main() -> int:
    """Serve until told to end."""
    url = os.environ["WHERRY_PIPELINES_API"]
    return relayed.serve(lambda address, _: serve(url, address), (RuntimeError,))


if __name__ == "__main__":
    sys.exit(main())

"""What there is by gRPC, told to clients that ask for it, such as ``grpcurl``: server reflection.

Source: https://github.com/grpc/grpc ``src/proto/grpc/reflection/v1/reflection.proto`` (names, numbers).
"""

import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, empty_pb2

from wherry.objects import message_classes, message_tables

SERVICES: Final = (
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)
METHOD: Final = "ServerReflectionInfo"
_MOST: Final = 2
"""Who asks holds a thread until he ends; calls have the others."""
_SECONDS: Final = 20.0
_ASKED: Final = "@message_request"
_ANSWERED: Final = "@message_response"
_TABLE: Final = {
    "ExtensionRequest": "1 string containing_type, 2 int32 extension_number",
    "ServerReflectionRequest": f"1 string host, 3 string file_by_filename {_ASKED}, "
    f"4 string file_containing_symbol {_ASKED}, "
    f"5 ExtensionRequest file_containing_extension {_ASKED}, "
    f"6 string all_extension_numbers_of_type {_ASKED}, 7 string list_services {_ASKED}",
    "FileDescriptorResponse": "1 bytes* file_descriptor_proto",
    "ServiceResponse": "1 string name",
    "ListServiceResponse": "1 ServiceResponse* service",
    "ErrorResponse": "1 int32 error_code, 2 string error_message",
    "ServerReflectionResponse": "1 string valid_host, 2 ServerReflectionRequest original_request, "
    f"4 FileDescriptorResponse file_descriptor_response {_ANSWERED}, "
    f"6 ListServiceResponse list_services_response {_ANSWERED}, "
    f"7 ErrorResponse error_response {_ANSWERED}",
}

Services = Mapping[str, Mapping[str, tuple[Any, Any]]]
"""By the full name of a service: the classes of what its methods take and give, by their names."""


def classes() -> dict[str, Any]:
    """Return the classes of reflection's messages."""
    return message_classes.classes("grpc.reflection.v1", message_tables.messages(_TABLE), {})


class Reflection(grpc.GenericRpcHandler):
    """Answers what there is."""

    def __init__(self, services: Services, pool: Any) -> None:
        """Take what is served.

        Args:
            services: All that is told of.
            pool: Where the descriptors of their messages are; theirs are put beside them.
        """
        self._services = services
        self._pool = pool
        self._known = classes()
        self._free = threading.BoundedSemaphore(_MOST)
        pool.AddSerializedFile(empty_pb2.DESCRIPTOR.serialized_pb)
        for name, methods in services.items():
            pool.Add(_file(name, methods))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return what handles a call; None: it is not for reflection."""
        if handler_call_details.method not in {f"/{each}/{METHOD}" for each in SERVICES}:
            return None
        return grpc.stream_stream_rpc_method_handler(
            self._answers,
            request_deserializer=self._known["ServerReflectionRequest"].FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _answers(self, asked: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        if not self._free.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "others ask for this now")
        patience = threading.Timer(_SECONDS, context.cancel)
        patience.start()
        try:
            for request in asked:
                yield self._answer(request)
        finally:
            patience.cancel()
            self._free.release()

    def _answer(self, request: Any) -> Any:
        made = self._known["ServerReflectionResponse"](original_request=request)
        wanted = request.WhichOneof("message_request")
        if wanted == "list_services":
            for name in sorted(self._services):
                made.list_services_response.service.add(name=name)
            return made
        try:
            for content in _with_imports(self._file_of(wanted, request)):
                made.file_descriptor_response.file_descriptor_proto.append(content)
        except KeyError:
            made.error_response.error_code = grpc.StatusCode.NOT_FOUND.value[0]
            made.error_response.error_message = "there is nothing of this name"
        return made

    def _file_of(self, wanted: str | None, request: Any) -> Any:
        if wanted == "file_by_filename":
            return self._pool.FindFileByName(request.file_by_filename)
        if wanted == "file_containing_symbol":
            return self._file_with(request.file_containing_symbol)
        raise KeyError(wanted)  # Messages of this version have no extensions.

    def _file_with(self, symbol: str) -> Any:
        service, _, method = symbol.rpartition(".")
        if service in self._services and method in self._services[service]:
            return self._pool.FindFileContainingSymbol(service)  # It knows none of its methods.
        return self._pool.FindFileContainingSymbol(symbol)


def _file(name: str, methods: Mapping[str, tuple[Any, Any]]) -> Any:
    """Return the file that describes a service."""
    package, _, last = name.rpartition(".")
    used = [each.DESCRIPTOR for both in methods.values() for each in both]
    made = descriptor_pb2.FileDescriptorProto(
        name=f"{name}.proto", package=package, syntax="proto3"
    )
    made.dependency.extend(sorted({each.file.name for each in used}))
    service = made.service.add(name=last)
    for method, (taken, given) in methods.items():
        service.method.add(
            name=method,
            input_type=f".{taken.DESCRIPTOR.full_name}",
            output_type=f".{given.DESCRIPTOR.full_name}",
        )
    return made


def _with_imports(file: Any) -> Iterator[bytes]:
    """Yield a file and all that it imports, each once."""
    found: dict[str, Any] = {}
    left = [file]
    while left:
        each = left.pop()
        if each.name not in found:
            found[each.name] = each
            left.extend(each.dependencies)
    yield from (each.serialized_pb for each in found.values())

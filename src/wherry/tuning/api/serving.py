"""A gRPC server with all services of the API."""

import concurrent.futures
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import grpc

from wherry.tuning.api import messages, servicers
from wherry.tuning.observations.database import Database
from wherry.tuning.observations.record import Owner
from wherry.tuning.observations.summary import number

_THREADS: Final = 8
_METHODS: Final = {
    "DBManager": ("ReportObservationLog", "GetObservationLog", "DeleteObservationLog"),
    "Suggestion": ("GetSuggestions", "ValidateAlgorithmSettings"),
    "EarlyStopping": (
        "GetEarlyStoppingRules",
        "SetTrialStatus",
        "ValidateEarlyStoppingSettings",
    ),
}

Told = Callable[[dict[str, str]], None]
"""Is called with what has happened: ``{"reported": trial}`` or ``{"stopped": trial}``."""


def serve(where: str | Path, address: str, told: Told) -> grpc.Server:
    """Return a server that has been started.

    Args:
        where: The database; see `Database`.
        address: ``host:port`` or ``unix:/path``.
        told: Called with what has happened.

    Raises:
        DatabaseError: the database cannot be used.
        RuntimeError: the address is taken.
    """
    database = Database(where)

    def curve(address: str, trial: str, metric: str) -> list[float]:
        if address:
            return servicers.curve_at(address, trial, metric)
        found = (each for each in database.of(Owner("", trial)) if each.metric == metric)
        values = (number(each.value) for each in found)
        return [value for value in values if value is not None]

    services = {
        "DBManager": servicers.DBManager(
            database, time.time_ns, lambda trial: told({"reported": trial})
        ),
        "Suggestion": servicers.Suggestion(),
        "EarlyStopping": servicers.EarlyStopping(curve, lambda trial: told({"stopped": trial})),
    }
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(_THREADS))
    for name, service in services.items():
        handlers = {method: _handler(service, method) for method in _METHODS[name]}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(f"{messages.PACKAGE}.{name}", handlers),)
        )
    server.add_generic_rpc_handlers((_health(),))
    server.add_insecure_port(address)
    server.start()
    return server


def _handler(service: Any, method: str) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        getattr(service, method),
        request_deserializer=messages.MESSAGES[f"{method}Request"].FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )


def _health() -> Any:
    check: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
        servicers.Health().Check,
        request_deserializer=messages.HEALTH["HealthCheckRequest"].FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check})

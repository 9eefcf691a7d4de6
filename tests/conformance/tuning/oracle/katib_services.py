"""A plug-in for Katib's own unit tests: what they import of Katib's services is Wherry's instead.

Suggestion and early stopping are asked over gRPC, at a server as Wherry runs it. How each test came out
is written to KATIB_OUTCOMES, a line of JSON each. It runs beside Katib's ``pkg``, of which only the
messages are used.
"""

import importlib
import json
import os
import sys
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from wherry.objects.errors import Cause
from wherry.tuning import algorithms, graphs
from wherry.tuning.api import messages, serving, translating
from wherry.tuning.collectors import sidecar_program, tensorflow_event
from wherry.tuning.observations import record

SUGGESTION = "pkg.suggestion.v1beta1"
SECONDS = 60


class Service:
    """Stands where a servicer of Katib's stood; asks a method of Wherry's server."""

    def __init__(self, server, name, algorithm=""):
        self._server, self._name, self._algorithm = server, name, algorithm

    def __getattr__(self, method):
        theirs = sys.modules["pkg.apis.manager.v1beta1.python.api_pb2"]

        def answer(request, context):
            if self._algorithm and not request.experiment.spec.algorithm.algorithm_name:
                request.experiment.spec.algorithm.algorithm_name = self._algorithm
            with grpc.insecure_channel(self._server) as channel:
                call: grpc.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
                    f"/{messages.PACKAGE}.{self._name}/{method}",
                    request_serializer=lambda message: message.SerializeToString(),
                    response_deserializer=getattr(theirs, f"{method}Reply").FromString,
                )
                try:
                    return call(request, timeout=SECONDS)
                except grpc.RpcError as error:
                    context.set_code(error.code())
                    context.set_details(error.details())
                    return getattr(theirs, f"{method}Reply")()

        return answer


class MetricsCollector:
    """Stands where Katib's collector of event files stood."""

    def __init__(self, metric_names):
        self._names = metric_names

    def parse_file(self, folder):
        log = messages.new("ObservationLog")
        for told in sidecar_program.EventFolder(folder).read(last=True):
            for name in self._names:
                if tensorflow_event.is_meant(name, told["folder"], told["tag"]):
                    made = log.metric_logs.add(time_stamp=record.text(round(told["time"] * 1e9)))
                    made.metric.name, made.metric.value = name, str(told["value"])
        return log


def validate_algorithm_settings(settings):
    """Tell whether DARTS takes settings, and what it says."""
    spec = messages.new("ExperimentSpec")
    spec.nas_config.graph_config.num_layers = 1
    spec.nas_config.operations.operation.add(operation_type="skip_connection")
    for each in settings:
        spec.algorithm.algorithm_settings.add(name=each.name, value=each.value)
    asked = translating.search(messages.new("Experiment", spec=spec))
    return _told(algorithms.get("darts").validate(asked))


def validate_operations(operations):
    """Tell whether a space of architectures is right, and what is said of it."""
    spec = messages.new("ExperimentSpec")
    for each in operations:
        spec.nas_config.operations.operation.add().MergeFromString(each.SerializeToString())
    graph = spec.nas_config.graph_config
    graph.num_layers, graph.input_sizes[:], graph.output_sizes[:] = 1, [8], [2]
    return _told(graphs.check(translating.search(messages.new("Experiment", spec=spec)).graph))


def _told(causes: Sequence[Cause]):
    return not causes, "; ".join(f"{each.field}: {each.message}" for each in causes)


def _put(name, **members):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)


def pytest_configure(config):
    """Start the server, and put modules in the place of Katib's."""
    importlib.import_module("wherry.tuning.models.parzen_search")  # so that no answer waits for it
    importlib.import_module("wherry.tuning.models.model_search")
    importlib.import_module("wherry.tuning.models.evolution")
    folder = tempfile.mkdtemp()
    address = f"unix:{folder}/socket"
    config.stash[SERVER] = serving.serve(Path(folder, "observations.db"), address, lambda _: None)

    def suggestion(algorithm=""):
        return lambda *_, **__: Service(address, "Suggestion", algorithm)

    _put(f"{SUGGESTION}.hyperopt.service", HyperoptService=suggestion())
    _put(f"{SUGGESTION}.optuna.service", OptunaService=suggestion())
    _put(f"{SUGGESTION}.skopt.service", SkoptService=suggestion())
    _put(f"{SUGGESTION}.hyperband.service", HyperbandService=suggestion("hyperband"))
    _put(f"{SUGGESTION}.nas.enas.service", EnasService=suggestion("enas"))
    _put(
        f"{SUGGESTION}.nas.darts.service",
        DartsService=suggestion("darts"),
        validate_algorithm_settings=validate_algorithm_settings,
    )
    _put(f"{SUGGESTION}.nas.common.validation", validate_operations=validate_operations)
    _put(f"{SUGGESTION}.internal.constant", LOG_UNIFORM="logUniform")
    _put(f"{SUGGESTION}.internal.search_space", HyperParameter=None, HyperParameterSearchSpace=None)
    _put(f"{SUGGESTION}.optuna.base_service", BaseOptunaService=None)
    _put(
        "pkg.earlystopping.v1beta1.medianstop.service",
        MedianStopService=lambda: Service(address, "EarlyStopping"),
        config=types.SimpleNamespace(load_kube_config=None),
    )
    _put("tfevent_loader", MetricsCollector=MetricsCollector)


SERVER = pytest.StashKey[grpc.Server]()


def pytest_unconfigure(config):
    """Stop the server."""
    config.stash[SERVER].stop(None).wait()


def pytest_runtest_logreport(report):
    """Write down how a test came out."""
    if report.when == "call" or report.failed:
        said = getattr(getattr(report.longrepr, "reprcrash", None), "message", "")
        row = {"name": report.nodeid, "wrong": said or "failed" if report.failed else ""}
        with Path(os.environ["KATIB_OUTCOMES"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

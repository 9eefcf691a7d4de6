"""Katib's gRPC API, asked by clients of its own: on its Service's address, and from within pods."""

import asyncio
import dataclasses
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

import wherry
from wherry.objects import kinds as core
from wherry.testing import builders
from wherry.testing.waiting import eventually
from wherry.tuning.algorithm import (
    Answer,
    Graph,
    Objective,
    Operation,
    Parameter,
    PastTrial,
    Proposal,
    Question,
    Search,
)
from wherry.tuning.api import messages, translating
from wherry.tuning.api.foreign import ForeignAsker
from wherry.tuning.asking import AskError


@pytest.fixture
def channel(shared_platform) -> Iterator[grpc.Channel]:
    def service():
        found = shared_platform.call(shared_platform.client.list(core.SERVICES, "kubeflow"))
        return next((e for e in found if e["metadata"]["name"] == "katib-db-manager"), None)

    address = eventually(service)["spec"]["clusterIP"]
    with grpc.insecure_channel(f"{address}:6789") as opened:
        yield opened


def call(channel, method, **fields):
    name = method.rpartition("/")[2]
    asked = channel.unary_unary(
        f"/{messages.PACKAGE}.{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=messages.MESSAGES[f"{name}Reply"].FromString,
    )
    return asked(messages.new(f"{name}Request", **fields), timeout=120, wait_for_ready=True)


def _log(*values):
    log = messages.new("ObservationLog")
    for time, name, value in values:
        entry = log.metric_logs.add(time_stamp=time)
        entry.metric.name, entry.metric.value = name, value
    return log


def test_values_are_reported_read_and_deleted(channel):
    log = _log(
        ("2024-07-05T14:42:34.5Z", "loss", "2"),
        ("2024-07-05T14:42:33Z", "loss", "1"),
        ("2024-07-05T14:42:35Z", "accuracy", "Genotype(a)"),
    )
    call(channel, "DBManager/ReportObservationLog", trial_name="t", observation_log=log)

    def found(**fields):
        got = call(channel, "DBManager/GetObservationLog", trial_name="t", **fields)
        return [(e.time_stamp, e.metric.value) for e in got.observation_log.metric_logs]

    first, second = ("2024-07-05T14:42:33Z", "1"), ("2024-07-05T14:42:34.5Z", "2")
    assert found(metric_name="loss") == [first, second]
    assert found(end_time="2024-07-05T14:42:33Z") == [first]
    assert len(found()) == 3
    with pytest.raises(grpc.RpcError, match="start_time: 'soon' is no RFC 3339 time"):
        found(start_time="soon")
    call(channel, "DBManager/DeleteObservationLog", trial_name="t")
    assert found() == []


def test_the_process_is_started_again_when_it_has_died(channel):
    call(channel, "DBManager/GetObservationLog", trial_name="t")
    (mine,) = _serving_processes()
    os.kill(mine, signal.SIGKILL)
    eventually(lambda: mine not in _serving_processes())

    def answers():
        try:
            return call(channel, "DBManager/GetObservationLog", trial_name="t")
        except grpc.RpcError as error:
            # What was under way when the connection broke is the client's to repeat.
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return None

    eventually(lambda: answers() is not None)


def test_algorithms_are_served(channel):
    experiment = messages.new("Experiment", name="e")
    experiment.spec.algorithm.algorithm_name = "random"
    experiment.spec.objective.objective_metric_name = "loss"
    experiment.spec.objective.type = messages.number("ObjectiveType", "MINIMIZE")
    parameter = experiment.spec.parameter_specs.parameters.add(name="lr", parameter_type=1)
    parameter.feasible_space.min, parameter.feasible_space.max = "0.1", "0.2"
    reply = call(
        channel, "Suggestion/GetSuggestions", experiment=experiment, current_request_number=3
    )
    values = [each.assignments[0].value for each in reply.parameter_assignments]
    assert len(values) == 3
    assert all(0.1 <= float(value) <= 0.2 for value in values)
    experiment.spec.algorithm.algorithm_settings.add(name="random_state", value="-1")
    with pytest.raises(grpc.RpcError) as refused:
        call(channel, "Suggestion/ValidateAlgorithmSettings", experiment=experiment)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "random_state" in str(refused.value.details())


def test_early_stopping_is_served(channel):
    experiment = messages.new("Experiment", name="e")
    experiment.spec.objective.objective_metric_name = "accuracy"
    experiment.spec.objective.type = messages.number("ObjectiveType", "MAXIMIZE")
    stopping = experiment.spec.early_stopping
    stopping.algorithm_name = "medianstop"
    stopping.algorithm_settings.add(name="min_trials_required", value="2")
    stopping.algorithm_settings.add(name="start_step", value="2")
    trials = []
    for name, values in {"a": "123", "b": "345"}.items():
        log = _log(*(("", "accuracy", value) for value in values))
        call(channel, "DBManager/ReportObservationLog", trial_name=name, observation_log=log)
        trial = messages.new("Trial", name=name)
        trial.status.condition = messages.number("TrialStatus.TrialConditionType", "SUCCEEDED")
        trials.append(trial)
    reply = call(
        channel, "EarlyStopping/GetEarlyStoppingRules", experiment=experiment, trials=trials
    )
    (rule,) = reply.early_stopping_rules
    assert (rule.name, float(rule.value), rule.start_step) == ("accuracy", 2.5, 2)
    assert messages.name("ComparisonType", rule.comparison) == "LESS"


_REPORT = """
import grpc
from wherry.tuning.api import messages
log = messages.new("ObservationLog")
log.metric_logs.add().metric.MergeFrom(messages.new("Metric", name="loss", value="0.5"))
asked = messages.new("ReportObservationLogRequest", trial_name="reporter", observation_log=log)
with grpc.insecure_channel("katib-db-manager.kubeflow:6789") as channel:
    call = channel.unary_unary("/api.v1.beta1.DBManager/ReportObservationLog",
        request_serializer=lambda message: message.SerializeToString())
    call(asked, timeout=120, wait_for_ready=True)
"""


def test_a_pod_finds_it_by_its_name(shared_platform, channel):
    # The pod has the packages of this test rather than an environment that has to be built.
    paths = ":".join(str(Path(str(each.__file__)).parents[1]) for each in (grpc, wherry))
    env = [{"name": "PYTHONPATH", "value": paths}]
    container = builders.container(python=_REPORT, env=env)
    pod = builders.pod("reporter", containers=[container])
    shared_platform.call(shared_platform.client.create(core.PODS, pod))

    def values():
        got = call(channel, "DBManager/GetObservationLog", trial_name="reporter")
        return [each.metric.value for each in got.observation_log.metric_logs]

    assert eventually(values) == ["0.5"]


def _serving_processes() -> list[int]:
    """Return the children of this process that serve the API."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if b"wherry.tuning.api" in command and int(parent) == os.getpid():
            found.append(int(folder.name))
    return found


def test_a_foreign_service_is_asked_like_our_own(channel, shared_platform):
    service = shared_platform.call(
        shared_platform.client.get(core.SERVICES, "katib-db-manager", "kubeflow")
    )
    foreign = ForeignAsker(f"{service['spec']['clusterIP']}:6789", deadline_seconds=120)
    search = Search(
        name="e",
        parameters=(
            Parameter(name="x", type="double", min="0", max="1"),
            Parameter(name="k", type="categorical", values=("a", "b")),
        ),
        objectives=(Objective(metric="loss"),),
        settings={"random_state": "1"},
    )
    past = PastTrial(
        name="t",
        assignments={"x": "0.5", "k": "a"},
        state="Succeeded",
        metrics={"loss": 1.0},
        labels={"a": "b"},
    )
    question = Question(search=search, trials=(past,), wanted=2)
    answer = asyncio.run(foreign.propose("random", question))
    assert len(answer.proposals) == 2
    assert {*answer.proposals[0].assignments} == {"x", "k"}
    assert asyncio.run(foreign.validate("random", search)) == []
    wrong = dataclasses.replace(search, settings={"random_state": "x"})
    (cause,) = asyncio.run(foreign.validate("random", wrong))
    assert "random_state" in cause.message


def test_nobody_answers():
    foreign = ForeignAsker("127.0.0.1:1", deadline_seconds=0.2)
    with pytest.raises(AskError, match=r"127\.0\.0\.1:1: DEADLINE_EXCEEDED"):
        asyncio.run(foreign.propose("random", Question(search=Search(name="e"))))


async def test_who_no_longer_waits_for_an_answer_is_not_held_up():
    foreign = ForeignAsker("127.0.0.1:1", deadline_seconds=600)
    question = Question(search=Search(name="e"))
    asked = [asyncio.ensure_future(foreign.propose("random", question)) for _ in range(40)]
    await asyncio.sleep(0)
    assert await asyncio.to_thread(len, asked) == 40, "they take nobody's threads"
    for each in asked:
        each.cancel()
    assert all(isinstance(each, asyncio.CancelledError) for each in await _results(asked))


async def _results(asked):
    return await asyncio.gather(*asked, return_exceptions=True)


def test_questions_survive_the_way():
    search = Search(
        name="e",
        parameters=(Parameter(name="n", type="int", min="1", max="4", distribution="logUniform"),),
        graph=Graph(
            layers=2,
            input_sizes=(32, 32, 3),
            output_sizes=(10,),
            operations=(Operation(type="conv", parameters=()),),
        ),
        objectives=(Objective(metric="m", type="maximize"),),
        settings={"a": "b"},
        max_trials=7,
        parallel=3,
    )
    trial = PastTrial(name="t", assignments={"n": "2"}, state="EarlyStopped", metrics={"m": 0.1})
    asked = Question(search=search, trials=(trial,), wanted=3)
    request = translating.request("tpe", asked)
    read = translating.question(request)
    assert dataclasses.replace(read.search, seed=0) == search
    assert read.trials == asked.trials
    assert read.wanted == 3
    answer = Answer(
        proposals=(Proposal(assignments={"n": "3"}, name="x", labels={"l": "1"}),),
        state={"bracket": "2"},
    )
    reply = translating.reply(request.experiment.spec.algorithm, answer)
    told = translating.answer(reply, search)
    assert told.proposals == answer.proposals
    again = translating.request("tpe", dataclasses.replace(asked, state=told.state))
    assert translating.question(again).state == {"bracket": "2"}

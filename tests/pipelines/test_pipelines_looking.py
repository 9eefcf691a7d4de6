"""What people are shown of runs: their tasks, in what two differ, what came from what."""

import dataclasses
import json
from typing import Any

import pytest

from wherry import pipelines as sdk
from wherry.metadata.lineage import Lineage
from wherry.metadata.records import DAG_EXECUTION, INPUT, OUTPUT, Artifact, Event, Execution, Values
from wherry.pipelines import service
from wherry.pipelines.looking import comparing, tree, words
from wherry.pipelines.looking.comparing import Difference, Side

OUT = "{{$.outputs.parameters['out'].output_file}}"
pytestmark = pytest.mark.timeout(600)


def execution(number, name, run="r", **fields):
    """Return a step that ran for two seconds."""
    facts: dict[str, Any] = {"path": f"root/{name}", "started": 1000, "ended": 3000}
    facts["state"] = "SUCCEEDED"
    named = {"properties": {words.RUN_NAME: f"run-{run}"}}
    return Execution(id=number, name=name, run=run, **(facts | named | fields))


def graph(executions, *events, complete=True):
    """Return a lineage; an event is ``(execution, type, name, artifact)``."""
    artifacts = {
        number: Artifact(id=number, name=name, type="system.Model", uri=f"s3://b/{name}")
        for _, _, name, number in events
    }
    made = {each.id: each for each in executions}
    listed = []
    for number, type_, name, artifact in events:
        side = "inputs" if type_ == INPUT else "outputs"
        values = getattr(made[number], side)
        grown = (*values.artifacts.get(name, ()), artifacts[artifact])
        changed = Values(values.parameters, {**values.artifacts, name: grown})
        made[number] = dataclasses.replace(made[number], **{side: changed})
        listed.append(Event(number, artifact, type_, name))
    return Lineage(artifacts=artifacts, executions=made, events=tuple(listed), complete=complete)


DIAMOND = graph(
    [
        execution(1, "load", inputs=Values({"rows": 3, "text": "x" * 100})),
        execution(2, "left"),
        execution(3, "right", state="FAILED"),
        execution(4, "join", run="s"),
        execution(5, "load", run="s", cached_from=1),
        execution(6, "", run="r", path="root", type=DAG_EXECUTION),
    ],
    (1, OUTPUT, "data", 1),
    (5, OUTPUT, "data", 1),
    (2, INPUT, "data", 1),
    (3, INPUT, "data", 1),
    (2, OUTPUT, "a", 2),
    (6, OUTPUT, "a", 2),
    (3, OUTPUT, "b", 3),
    (4, INPUT, "a", 2),
    (4, INPUT, "b", 3),
)


def test_an_artifact_is_shown_with_what_it_came_from_and_what_became_of_it():
    long = "x" * 79 + "…"
    assert tree.of_artifact(DIAMOND, 2) == [
        "a: Model s3://b/a",
        "came from",
        "└─ left (run run-r, 2.0s)",
        "   └─ data: Model s3://b/data",
        f"      └─ load (run run-r, 2.0s)  rows=3 text={long}",
        "became",
        "└─ join (run run-s, 2.0s)",
    ]


def test_what_is_reached_twice_is_shown_once():
    told = tree.of_execution(DIAMOND, 4)
    assert told[0] == "join (run run-s, 2.0s)"
    assert [each for each in told if "load" in each][1].endswith("  (as above)")
    assert any("right (run run-r, FAILED, 2.0s)" in each for each in told)
    became = tree.of_artifact(DIAMOND, 1)
    assert became[-1] == "└─ load (run run-s, from the cache)"


def test_a_run_is_shown_step_by_step():
    assert tree.of_run(DIAMOND, "s") == [
        "run run-s",
        "├─ join",
        "│  ├─ read a: Model s3://b/a from left (run run-r)",
        "│  └─ read b: Model s3://b/b from right (run run-r)",
        "└─ load",
        "   └─ made data: Model s3://b/data for left (run run-r), right (run run-r)",
    ]


def test_what_is_missing_is_told():
    alone = graph([execution(1, "x")], (1, INPUT, "data", 1), complete=False)
    assert tree.of_artifact(alone, 1)[-1].startswith("(there is more")
    nothing = Lineage(
        artifacts={1: Artifact(id=1, uri="u")}, executions={}, events=(), complete=True
    )
    assert "nothing is known" in tree.of_artifact(nothing, 1)[1]


def side(uid, *tasks, **fields):
    """Return a run to be compared."""
    facts: dict[str, Any] = {"facts": {}, "parameters": {}, "pipeline": {}}
    return Side(name=uid, uid=uid, tasks={each.path: each for each in tasks}, **(facts | fields))


def test_runs_differ_in_what_is_told_and_in_nothing_else():
    def made(uid, score, number):
        artifact = Artifact(
            id=number, type="system.Metrics", uri=f"s3://b/{uid}/m", metadata={"score": score}
        )
        return execution(number, "train", run=uid, outputs=Values({}, {"m": (artifact,)}))

    first = side("u1", made("u1", 1, 1), execution(3, "only"), parameters={"lr": 0.1})
    second = side("u2", made("u2", 2, 2), parameters={"lr": 0.2, "new": None})
    assert comparing.compare(first, second) == [
        Difference(comparing.PARAMETERS, "lr", 0.1, 0.2),
        Difference(comparing.TASKS, "train: output m.score", 1, 2),
        Difference(comparing.TASKS, "only", "SUCCEEDED", None),
    ]
    assert comparing.compare(first, first) == []
    same = side("u2", made("u2", 1, 2), execution(4, "only", run="u2"), parameters={"lr": 0.1})
    assert comparing.compare(first, same) == []
    assert comparing.durations(first, same) == [("root/train", 2.0, 2.0), ("root/only", 2.0, 2.0)]


def test_pipelines_are_compared_as_deep_as_they_are():
    def spec(image):
        return {"pipelineSpec": {"deploymentSpec": {"executors": {"e": {"image": image}}}}}

    found = comparing.compare(side("a", pipeline=spec("x:1")), side("b", pipeline=spec("x:2")))
    where = "pipelineSpec.deploymentSpec.executors.e.image"
    assert found == [Difference(comparing.PIPELINE, where, "x:1", "x:2")]


@pytest.mark.parametrize(
    ("seconds", "told"), [(None, ""), (0.04, "0.0s"), (59.4, "59s"), (61, "1m1s"), (7261, "2h1m")]
)
def test_durations_are_told_in_their_largest_units(seconds, told):
    assert words.duration(seconds) == told


@pytest.fixture
def two_runs(runs, pipeline, two_steps):
    """Two runs that differ in a parameter, and in what one step gives."""

    def spec(word):
        two_steps.step("say", f"echo {word} > {OUT}", outputs={"out": "STRING"})
        two_steps.task("say")
        return two_steps.spec()

    for name in ("one", "two"):
        assert runs.run(spec(name), name)["status"]["state"] == "SUCCEEDED"
    return runs


def test_runs_are_looked_at_compared_and_followed_back(two_runs, wherry, monkeypatch):
    code, told = wherry("get", "two")
    assert (code, "state:     SUCCEEDED 3/3" in told) == (0, True)
    rows = {line.split()[0]: line.split()[3:] for line in told[told.index("TASK") :].splitlines()}
    assert rows["say"] == ["off"]
    assert rows["make"] == ["hit:", "run", "one"]
    code, told = wherry("diff", "one", "two", "-o", "json")
    differences = {
        each["what"]: (each["first"], each["second"]) for each in json.loads(told)["differences"]
    }
    assert (code, differences["say: output out"]) == (1, ("one\n", "two\n"))
    assert differences["make: cache"] == ("miss", "hit")
    assert [each for each in differences if each.startswith("pipelineSpec.")]
    code, told = wherry("diff", "one", "two")
    assert (code, "say: output out" in told, "DURATIONS" in told) == (1, True, True)
    assert wherry("diff", "one", "one")[0] == 0
    assert json.loads(wherry("get", "one", "-o", "json")[1])["complete"]
    with monkeypatch.context() as few:
        few.setattr(service, "MOST_TASKS", 2)
        for words_of_it in (["get", "one"], ["diff", "one", "two"]):
            _, told = wherry(*words_of_it)
            assert "run one has more tasks and artifacts than the 2 that can be looked" in told
    code, told = wherry("lineage", "one")
    assert (code, "└─ made data: Dataset file://" in told) == (0, True)
    code, told = wherry("lineage", "one/make/data")
    lines = told.splitlines()
    assert lines[0].startswith("data: Dataset file://")
    assert [each.partition(" (run one")[0] for each in lines[1:3]] == ["came from", "└─ make"]
    assert any("make (run two, from the cache)" in each for each in lines)
    uri = lines[0].partition("Dataset ")[2]
    assert wherry("lineage", uri) == (0, told)
    assert wherry("lineage", uri.removeprefix("file://")) == (0, told)
    code, told = wherry("lineage", "one/make", "-o", "json")
    found = json.loads(told)
    assert (code, [each["name"] for each in found["artifacts"]]) == (0, ["data"])


def test_what_is_not_there_is_told_with_what_is(two_runs, wherry):
    for asked, wanted in (
        (["lineage", "one/nope"], "there is no 'nope' in run one; there is make, say, read"),
        (["lineage", "one/make/nope"], "there is no 'make/nope' in run one; there is make/data"),
        (["lineage", "s3://b/nope"], "there is no uri s3://b/nope"),
        (["lineage", "one", "--up", "51"], "'51': want a whole number from 0 to 50"),
        (["cache", "list", "--limit", "0"], "'0': want a whole number from 1 to 100000"),
        (["get", "nope"], "there is no run 'nope' in namespace"),
        (["cache", "list", "--older-than", "3w"], "'3w': want a number with s, m, h or d"),
    ):
        code, told = wherry(*asked)
        assert (code != 0, wanted in told) == (True, True), told


def test_a_run_tells_its_tasks_and_its_lineage_in_python(two_runs):
    where = {"namespace": two_runs.namespace, "connection": two_runs.platform.kubeconfig}
    run = sdk.find_run("two", **where)
    tasks = {each.path: each for each in run.tasks()}
    assert tasks["make"].cache == "hit: run one"
    assert tasks["read"].outputs == {"out": "kept\n"}
    assert [each.name for each in tasks["read"].reads["data"]] == ["data"]
    trace = run.lineage()
    assert str(trace).splitlines()[0] == "run two"
    assert {each.run for each in trace.tasks} == {"one", "two"}
    assert [each.name for each in trace.artifacts] == ["data"]
    assert trace.complete
    assert "from cache" in run.picture()

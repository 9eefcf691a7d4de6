"""What tasks are given, and what graphs and loops give."""

import copy
from typing import Any

import pytest

from wherry.metadata.records import Artifact, Values
from wherry.pipelines.definition import MISSING, Pipeline
from wherry.pipelines.graph.model import Attempt, Start, State
from wherry.pipelines.graph.walk import Walk
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.ir.messages import TaskParameter

STRING, INTEGER, LIST = (
    {"parameterType": "STRING"},
    {"parameterType": "NUMBER_INTEGER"},
    {"parameterType": "LIST"},
)
OPTIONAL = {"parameterType": "STRING", "isOptional": True}
DATASET = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}


def constant(value: Any) -> dict[str, Any]:
    return {"runtimeValue": {"constant": value}}


def given(name: str) -> dict[str, Any]:
    return {"componentInputParameter": name}


def made(task: str, key: str = "out", **more: Any) -> dict[str, Any]:
    source = {"producerTask": task, "outputParameterKey": key}
    return {"taskOutputParameter": source, **more}


def artifact(task: str, key: str = "data") -> dict[str, Any]:
    return {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": key}}


def task(component: str, parameters: Any = None, artifacts: Any = None, **more: Any) -> Any:
    inputs = {"parameters": parameters or {}, "artifacts": artifacts or {}}
    return {"componentRef": {"name": component}, "inputs": inputs, **more}


def step(parameters: Any = None, artifacts: Any = None, **outputs: Any) -> dict[str, Any]:
    return {
        "executorLabel": "exec",
        "inputDefinitions": {"parameters": parameters or {}, "artifacts": artifacts or {}},
        "outputDefinitions": outputs,
    }


def graph(tasks: Any, inputs: Any = None, outputs: Any = None, **defined: Any) -> dict[str, Any]:
    return {
        "dag": {"tasks": tasks, "outputs": outputs or {}},
        "inputDefinitions": {"parameters": inputs or {}},
        "outputDefinitions": defined,
    }


def pipeline(root: Any, **components: Any) -> dict[str, Any]:
    container = {"container": {"image": "python:3.11"}}
    return {
        "pipelineInfo": {"name": "p"},
        "schemaVersion": "2.1.0",
        "deploymentSpec": {"executors": {"exec": container}},
        "components": components,
        "root": root,
    }


MAKE = step({"x": OPTIONAL}) | {
    "outputDefinitions": {"parameters": {"out": STRING}, "artifacts": {"data": DATASET}}
}
TAKE = step({"x": OPTIONAL})


class Run:
    """A run whose steps give what a function says."""

    def __init__(self, spec: Any, parameters: Any = None, platform: Any = None) -> None:
        self.pipeline = Pipeline(spec, platform)
        inputs = self.pipeline.root_inputs(Values(parameters or {}))
        self.walk = Walk(self.pipeline.graph, self.pipeline, inputs)
        self.inputs: dict[str, Values] = {}
        self.fails: set[str] = set()
        self.gives: dict[str, Any] = {}

    def run(self) -> "Run":
        while starts := [each for each in self.walk.ready(0) if isinstance(each, Start)]:
            for each in starts:
                self.inputs[each.path] = each.inputs
                state = State.FAILED if each.path in self.fails else State.SUCCEEDED
                outputs = Values(
                    {"out": self.gives.get(each.path, each.path)},
                    {"data": (Artifact(uri=f"file:///{each.path}"),)},
                )
                error = "it broke" if state is State.FAILED else ""
                self.walk.record(Attempt(each.path, each.number, state, outputs, error))
        assert self.walk.state.final
        return self

    def parameters(self, path: str) -> Any:
        return self.inputs[path].parameters

    def error(self, path: str) -> str:
        return self.walk.known(path).error


def test_values_come_from_constants_inputs_and_tasks() -> None:
    tasks = {
        "make": task("make", {"x": given("name")}),
        "take": task(
            "take",
            {
                "a": constant(5.0),
                "b": made("make"),
                "c": constant("{{$.inputs.parameters['b']}}, {{$.inputs.parameters['d']}}"),
                "d": constant([1, "x"]),
                "e": constant("{{$.inputs.parameters['a']}}"),
                "old": {"runtimeValue": {"constantValue": {"intValue": "7"}}},
                "key": {**constant({"k": {"n": 1}}), "parameterExpressionSelector": SELECT},
            },
        ),
    }
    taken = step(
        {
            "a": INTEGER,
            "b": STRING,
            "c": STRING,
            "d": LIST,
            "e": INTEGER,
            "old": INTEGER,
            "key": {"parameterType": "STRUCT"},
            "default": {**INTEGER, "defaultValue": 3.0, "isOptional": True},
            "optional": OPTIONAL,
        }
    )
    run = Run(pipeline(graph(tasks, {"name": STRING}), make=MAKE, take=taken), {"name": "n"}).run()
    assert run.parameters("root/make") == {"x": "n"}
    assert run.parameters("root/take") == {
        "a": 5,
        "b": "root/make",
        "c": 'root/make, [1,"x"]',
        "d": [1, "x"],
        "e": 5,
        "old": 7,
        "key": {"n": 1},
        "default": 3,
    }
    assert all(type(run.parameters("root/take")[name]) is int for name in ("a", "e", "default"))


SELECT = 'parseJson(string_value)["k"]'


def test_inputs_of_a_run_are_checked() -> None:
    inputs = {
        "n": INTEGER,
        "kind": {**STRING, "literals": ["a", "b"]},
        "optional": OPTIONAL,
        "default": {**STRING, "defaultValue": "d"},
    }
    one = Pipeline(pipeline(graph({"t": task("take")}, inputs), take=TAKE))
    found = one.root_inputs(Values({"n": 5.0, "kind": "b", "default": None}))
    assert found.parameters == {"n": 5, "kind": "b", "optional": None, "default": "d"}
    with pytest.raises(PipelineError) as raised:
        one.root_inputs(Values({"m": 1, "kind": "c"}))
    assert [(each.field, each.message) for each in raised.value.causes] == [
        ("parameters.m", "there is no input parameter 'm'; there is default, kind, n, optional"),
        ("parameters.kind", "must be one of 'a', 'b', not 'c'"),
        ("parameters.n", "the pipeline needs a value for it (NUMBER_INTEGER)"),
    ]
    with pytest.raises(PipelineError, match=r"artifacts.data: there is no input artifact 'data'"):
        one.root_inputs(Values({"n": 5, "kind": "a"}, {"data": (Artifact(),)}))


def test_an_output_that_was_not_made_is_left_out_where_it_may_be() -> None:
    tasks = {
        "make": task("make"),
        "needs": task("needs", {"x": made("make")}, triggerPolicy={"strategy": COMPLETED}),
        "may": task("take", {"x": made("make")}, triggerPolicy={"strategy": COMPLETED}),
    }
    spec = pipeline(graph(tasks), make=MAKE, take=TAKE, needs=step({"x": STRING}))
    run = Run(spec)
    run.fails = {"root/make"}
    run.run()
    assert run.parameters("root/may") == {}
    assert run.error("root/needs") == (
        "input parameter x: it is the output out of make, which failed"
    )


COMPLETED = "ALL_UPSTREAM_TASKS_COMPLETED"


def test_a_nested_pipeline_has_null_for_what_is_not_given() -> None:
    inner = graph(
        {
            "take": task("take", {"x": given("text")}),
            "asked": task(
                "take", triggerPolicy={"condition": "inputs.parameter_values['t'] == null"}
            )
            | {"inputs": {"parameters": {"t": given("text")}}},
        },
        {"text": OPTIONAL, "other": {**OPTIONAL, "defaultValue": "d"}},
    )
    outer = graph(
        {
            "none": task("inner"),
            "given": task("inner", {"text": constant("hello"), "other": given("o")}),
        },
        {"o": OPTIONAL},
    )
    run = Run(pipeline(outer, inner=inner, take=TAKE)).run()
    assert run.walk.known("root/none").inputs.parameters == {"text": None, "other": "d"}
    assert run.parameters("root/none/take") == {}
    assert run.walk.known("root/given").inputs.parameters == {"text": "hello", "other": "d"}
    assert run.parameters("root/given/take") == {"x": "hello"}


def _condition(component: str, word: str, negated: str = "") -> Any:
    condition = f"{negated}inputs.parameter_values['coin'] == '{word}'"
    return task(component, {"coin": given("coin")}, triggerPolicy={"condition": condition})


def _branches() -> dict[str, Any]:
    """One branch for heads, one for everything else; what comes out is whichever ran."""
    parameter = {"producerSubtask": "make", "outputParameterKey": "out"}
    chosen = {"producerSubtask": "make", "outputArtifactKey": "data"}
    branch = graph(
        {"make": task("make")},
        {"coin": STRING},
        {
            "parameters": {"o": {"valueFromParameter": parameter}},
            "artifacts": {"d": {"artifactSelectors": [chosen]}},
        },
        parameters={"o": STRING},
        artifacts={"d": DATASET},
    )
    names = ("heads", "tails")
    one_of = [{"producerSubtask": name, "outputParameterKey": "o"} for name in names]
    artifacts = [{"producerSubtask": name, "outputArtifactKey": "d"} for name in names]
    branches = graph(
        {
            "heads": _condition("branch", "heads"),
            "tails": task(
                "branch",
                {"coin": given("coin")},
                triggerPolicy={
                    "condition": "!(inputs.parameter_values['coin'] == 'heads')"
                    " && inputs.parameter_values['coin'] == 'tails'"
                },
            ),
        },
        {"coin": STRING},
        {
            "parameters": {"o": {"valueFromOneof": {"parameterSelectors": one_of}}},
            "artifacts": {"d": {"artifactSelectors": artifacts}},
        },
        parameters={"o": STRING},
        artifacts={"d": DATASET},
    )
    return pipeline(
        graph(
            {
                "branches": task("branches", {"coin": given("coin")}),
                "after": task(
                    "after", {"x": made("branches", "o")}, {"d": artifact("branches", "d")}
                ),
            },
            {"coin": STRING},
        ),
        branches=branches,
        branch=branch,
        make=MAKE,
        after=step({"x": STRING}, {"d": DATASET}),
    )


@pytest.mark.parametrize(("coin", "other"), [("heads", "tails"), ("tails", "heads")])
def test_one_of_several_branches(coin: str, other: str) -> None:
    run = Run(_branches(), {"coin": coin}).run()
    path = f"root/branches/{coin}/make"
    assert run.parameters("root/after") == {"x": path}
    assert run.inputs["root/after"].artifacts["d"][0].uri == f"file:///{path}"
    skipped = run.walk.known(f"root/branches/{other}")
    assert (skipped.state, skipped.error) == (State.SKIPPED, "its condition does not hold")


def test_none_of_several_branches() -> None:
    run = Run(_branches(), {"coin": "edge"}).run()
    assert run.error("root/after") == (
        "input parameter x: it is the output o of branches, which did not make it"
    )


def test_what_a_loop_over_deep_graphs_gives_is_found_once_a_graph() -> None:
    # Three ways to each of 25 levels: nobody lives to see all paths gone through.
    levels = {}
    names = ("a", "b", "c")
    selectors = [{"producerSubtask": name, "outputParameterKey": "out"} for name in names]
    outputs = {"parameters": {"out": {"valueFromOneof": {"parameterSelectors": selectors}}}}
    for level in range(25):
        inner = f"level{level + 1}" if level < 24 else "make"
        skipped = {"triggerPolicy": {"condition": "1 == 2"}}
        tasks = {name: task(inner, **({} if name == "a" else skipped)) for name in names}
        levels[f"level{level}"] = graph(tasks, None, outputs, parameters={"out": STRING})
    levels["level0"]["inputDefinitions"]["parameters"] = {"item": STRING}
    root = graph(
        {
            "loop": _loop({"raw": '["x", "y"]'}, "level0"),
            "take": task("take_all", {"all": made("loop")}),
        }
    )
    run = Run(pipeline(root, make=MAKE, take_all=step({"all": LIST}), **levels)).run()
    below = "/a" * 25
    assert run.parameters("root/take") == {"all": [f"root/loop[{n}]{below}" for n in range(2)]}


def _loop(over: Any, component: str = "body", **parameters: Any) -> Any:
    return task(
        component,
        parameters,
        parameterIterator={"items": over, "itemInput": "item"},
    )


def _collected(key: str, producer: str) -> dict[str, Any]:
    return {
        "parameters": {
            key: {"valueFromParameter": {"producerSubtask": producer, "outputParameterKey": key}}
        },
        "artifacts": {
            "data": {
                "artifactSelectors": [{"producerSubtask": producer, "outputArtifactKey": "data"}]
            }
        },
    }


def test_loops_in_loops_give_flat_lists() -> None:
    inner = graph(
        {"make": task("make", {"x": given("item")})},
        {"item": STRING, "items": LIST},
        _collected("out", "make"),
        parameters={"out": STRING},
        artifacts={"data": DATASET},
    )
    outer = graph(
        {"inner": _loop({"inputParameter": "items"}, "inner", items=given("item"))},
        {"item": LIST},
        _collected("out", "inner"),
        parameters={"out": LIST},
        artifacts={"data": DATASET},
    )
    root = graph(
        {
            "outer": _loop({"raw": '[["a", "b"], [], ["c"]]'}, "outer"),
            "take": task("take_all", {"all": made("outer")}, {"data": artifact("outer")}),
        }
    )
    taken = step({"all": LIST}, {"data": {**DATASET, "isArtifactList": True}})
    run = Run(pipeline(root, outer=outer, inner=inner, make=MAKE, take_all=taken)).run()
    paths = [
        "root/outer[0]/inner[0]/make",
        "root/outer[0]/inner[1]/make",
        "root/outer[2]/inner[0]/make",
    ]
    assert [run.parameters(path) for path in paths] == [{"x": "a"}, {"x": "b"}, {"x": "c"}]
    assert run.parameters("root/take") == {"all": paths}
    uris = [each.uri for each in run.inputs["root/take"].artifacts["data"]]
    assert uris == [f"file:///{path}" for path in paths]


def test_a_loop_over_what_a_task_gave_and_keys_of_its_items() -> None:
    body = graph(
        {
            "take": task(
                "take",
                {
                    "x": {
                        **given("item"),
                        "parameterExpressionSelector": 'parseJson(string_value)["k"]',
                    }
                },
            )
        },
        {"item": {"parameterType": "STRUCT"}},
    )
    lists = copy.deepcopy(MAKE)
    lists["outputDefinitions"]["parameters"]["out"] = LIST
    body["inputDefinitions"]["parameters"]["items"] = LIST
    root = graph(
        {"make": task("lists"), "loop": _loop({"inputParameter": "items"}, items=made("make"))}
    )
    run = Run(pipeline(root, body=body, lists=lists, take=TAKE))
    run.gives = {"root/make": [{"k": "a"}, {"k": 2}]}
    run.run()
    assert run.parameters("root/loop[0]/take") == {"x": "a"}
    assert run.parameters("root/loop[1]/take") == {"x": "2"}


def test_a_turn_keeps_the_list_only_where_something_inside_asks_for_it() -> None:
    item = "items-loop-item"
    asking = {
        "nobody": given(item),
        "a task": given("items"),
        "a text": constant("{{$.inputs.parameters['items']}}"),
    }
    over = {"items": {"inputParameter": "items"}, "itemInput": item}
    for who, source in asking.items():
        body = graph({"take": task("take", {"x": source})}, {item: STRING, "items": LIST})
        loop = task("body", {"items": given("list")}, parameterIterator=over)
        root = graph({"loop": loop}, {"list": LIST})
        run = Run(pipeline(root, body=body, take=TAKE), {"list": ["a", "b"]}).run()
        kept = {} if who == "nobody" else {"items": ["a", "b"]}
        assert dict(run.walk.known("root/loop[1]").inputs.parameters) == {item: "b", **kept}, who
        assert run.walk.known("root/loop").inputs.parameters["items"] == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "items, over which it loops, is no list: Expecting value: line 1 column 1 (char 0)"),
        ('{"a": 1}', 'items, over which it loops, is no list but {"a": 1}'),
        ('["a"]', "item 0 of the loop: must be a whole number of at most 2^53-1, not 'a'"),
    ],
)
def test_a_loop_over_something_else_fails(value: str, message: str) -> None:
    body = graph({"take": task("take")}, {"item": INTEGER, "items": STRING})
    loop = _loop({"inputParameter": "items"}, items=given("list"))
    run = Run(
        pipeline(graph({"loop": loop}, {"list": STRING}), body=body, take=TAKE), {"list": value}
    )
    assert run.run().error("root/loop") == message


def test_a_loop_over_artifacts_and_one_over_a_step() -> None:
    over = {"items": {"inputArtifact": "all"}, "itemInput": "one"}
    listed = {**DATASET, "isArtifactList": True}
    tasks = {
        "steps": _loop({"raw": "[1, 2]"}, "numbered"),
        "each": task("use", artifacts={"all": artifact("steps")}, artifactIterator=over),
    }
    numbered = copy.deepcopy(MAKE)
    numbered["inputDefinitions"]["parameters"] = {"item": INTEGER}
    use = step({}, {"all": listed, "one": DATASET})
    run = Run(pipeline(graph(tasks), numbered=numbered, use=use)).run()
    assert run.parameters("root/steps[1]") == {"item": 2}
    given_to_second = run.inputs["root/each[1]"].artifacts
    assert {name: [each.uri for each in found] for name, found in given_to_second.items()} == {
        "one": ["file:///root/steps[1]"]
    }


@pytest.mark.parametrize(
    ("fails", "state", "error"),
    [
        (False, "COMPLETE", {}),
        (True, "FAILED", {"code": 9, "message": "make: it broke"}),
    ],
)
def test_what_an_exit_task_is_told(fails: bool, state: str, error: Any) -> None:
    status = {"status": {"taskFinalStatus": {"producerTask": "body"}}}
    tasks = {
        "body": task("body"),
        "exit": task("exit", status, triggerPolicy={"strategy": COMPLETED}),
    }
    exits = step({"status": {"parameterType": "TASK_FINAL_STATUS"}})
    run = Run(pipeline(graph(tasks), body=graph({"make": task("make")}), make=MAKE, exit=exits))
    run.fails = {"root/body/make"} if fails else set()
    run.run()
    assert run.parameters("root/exit") == {
        "status": {
            "state": state,
            "pipelineTaskName": "body",
            "pipelineJobResourceName": "{{$.pipeline_job_resource_name}}",
            "error": error,
        }
    }
    assert run.walk.state is (State.FAILED if fails else State.SUCCEEDED)


def test_settings_of_pods_are_resolved_in_the_graph_around_and_count_as_needs() -> None:
    tasks = {"claim": task("make"), "use": task("take"), "z": task("take")}
    mount = {"mountPath": "/data", "pvcNameParameter": made("claim")}
    secret = {"secretNameParameter": given("secret"), "mountPath": "/s"}
    settings = {"pvcMount": [mount], "secretAsVolume": [secret]}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"takes": settings}}}}}
    spec = pipeline(graph(tasks, {"secret": OPTIONAL}), make=MAKE, take=TAKE)
    spec["components"]["take"] = {**TAKE, "executorLabel": "takes"}
    spec["deploymentSpec"]["executors"]["takes"] = {"container": {"image": "python:3.11"}}
    run = Run(spec, platform=platform).run()
    assert run.pipeline.graph.nodes["use"].needs == ("claim",)
    scope = run.walk.scope("root/use")
    pvc = run.pipeline.step("take").settings.pvc_mount[0].pvc_name_parameter
    assert run.pipeline.parameter(scope, pvc or TaskParameter()) == "root/claim"
    name = run.pipeline.step("take").settings.secret_as_volume[0].secret_name_parameter
    assert run.pipeline.parameter(scope, name or TaskParameter()) is MISSING


def test_what_a_run_gives() -> None:
    outputs = _collected("out", "make")
    outputs["parameters"]["skipped"] = {
        "valueFromParameter": {"producerSubtask": "skipped", "outputParameterKey": "out"}
    }
    tasks = {"make": task("make"), "skipped": task("make", triggerPolicy={"condition": "1 == 2"})}
    root = graph(
        tasks,
        {},
        outputs,
        parameters={"out": STRING, "skipped": STRING},
        artifacts={"data": DATASET},
    )
    run = Run(pipeline(root, make=MAKE)).run()
    assert run.walk.outputs.parameters == {"out": "root/make"}
    assert run.walk.outputs.artifacts["data"][0].uri == "file:///root/make"

"""Compiled files: what is read, and what is said of those that are not right."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir import documents, executors, messages, platforms, reading
from wherry.pipelines.ir.documents import PipelineError

SPEC = """
pipelineInfo: {name: hello, displayName: Hello}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.0
deploymentSpec:
  executors:
    exec-make: {container: {image: "python:3.11", command: [echo], args: [a]}}
    exec-plain: {container: {image: "python:3.11"}}
    exec-import: {importer: {artifactUri: {constant: "gs://b/x"}, typeSchema: {schemaTitle: system.Dataset}}}
components:
  comp-make:
    executorLabel: exec-make
    inputDefinitions:
      parameters:
        text: {parameterType: STRING}
        count: {parameterType: NUMBER_INTEGER, isOptional: true, defaultValue: 3.0}
        kind: {parameterType: STRING, isOptional: true, literals: [a, b]}
    outputDefinitions:
      parameters: {out: {parameterType: STRING}}
      artifacts: {data: {artifactType: {schemaTitle: system.Dataset, schemaVersion: 0.0.1}}}
  comp-use:
    executorLabel: exec-plain
    inputDefinitions:
      artifacts: {data: {artifactType: {schemaTitle: system.Dataset}}}
  comp-inner:
    executorLabel: exec-plain
    inputDefinitions: {parameters: {text: {parameterType: STRING}}}
    outputDefinitions: {parameters: {out: {parameterType: STRING}}}
  comp-loop:
    inputDefinitions: {parameters: {item: {parameterType: STRING}}}
    outputDefinitions: {parameters: {all: {parameterType: LIST}}}
    dag:
      tasks:
        make: {componentRef: {name: comp-inner}, inputs: {parameters: {text: {componentInputParameter: item}}}}
      outputs:
        parameters: {all: {valueFromParameter: {producerSubtask: make, outputParameterKey: out}}}
root:
  inputDefinitions: {parameters: {name: {parameterType: STRING}}}
  dag:
    tasks:
      make:
        taskInfo: {name: make}
        componentRef: {name: comp-make}
        cachingOptions: {enableCache: true}
        retryPolicy: {maxRetryCount: 2, backoffDuration: 1.5s, backoffFactor: 3, backoffMaxDuration: 60s}
        inputs: {parameters: {text: {componentInputParameter: name}}}
      use:
        componentRef: {name: comp-use}
        dependentTasks: [make]
        inputs: {artifacts: {data: {taskOutputArtifact: {producerTask: make, outputArtifactKey: data}}}}
      loop:
        componentRef: {name: comp-loop}
        parameterIterator: {items: {raw: '["a", "b"]'}, itemInput: item}
        iteratorPolicy: {parallelismLimit: 2}
"""
PLATFORM = """
platforms:
  kubernetes:
    deploymentSpec:
      executors:
        exec-make:
          secretAsEnv: [{secretNameParameter: {componentInputParameter: name}, keyToEnv: [{secretKey: k, envVar: V}]}]
    pipelineConfig: {activeDeadlineSeconds: 60, workspace: {size: 1Gi}}
"""


def spec() -> Any:
    return yaml.safe_load(SPEC)


def causes(broken: Any, platform: Any = None) -> list[tuple[str, str]]:
    with pytest.raises(PipelineError) as raised:
        Pipeline(broken, platform)
    return [(each.field, each.message) for each in raised.value.causes]


def test_a_file_of_two_documents() -> None:
    found = documents.parse(f"# PIPELINE DEFINITION\n{SPEC}\n---\n{PLATFORM}")
    pipeline = Pipeline(found.spec, found.platform)
    assert pipeline.name == "hello"
    make = pipeline.graph.nodes["make"]
    assert (make.retry.limit, make.retry.backoff_seconds, make.retry.delay(1)) == (2, 1.5, 4.5)
    assert make.retry.delay(50) == 60
    assert pipeline.graph.nodes["use"].needs == ("make",)
    loop = pipeline.graph.nodes["loop"]
    assert (loop.loop, loop.parallelism) == (True, 2)
    assert loop.graph is not None
    assert pipeline.step("comp-make").executor == executors.Executor(
        container=executors.Container(image="python:3.11", command=("echo",), args=("a",))
    )
    (secret,) = pipeline.step("comp-make").settings.secret_as_env
    assert secret.key_to_env == (platforms.SecretKey("k", "V"),)
    assert pipeline.config.active_deadline_seconds == 60
    assert pipeline.task(pipeline.graph, "make").caching_options.enable_cache


@pytest.mark.parametrize(
    "wrap",
    [
        json.dumps,
        lambda each: json.dumps({"pipelineSpec": each}),
        lambda each: json.dumps({"pipeline_spec": each, "platform_spec": {"platforms": {}}}),
        lambda each: f"---\n---\n{yaml.safe_dump(each)}---\n",
    ],
)
def test_other_forms_of_a_file(wrap: Callable[[Any], str]) -> None:
    assert documents.parse(wrap(spec())).spec == spec()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no pipeline in the file"),
        ("# nothing\n", "there is no pipeline in the file"),
        ("- a\n", "each document must be an object"),
        ("a: [", "the file is neither YAML nor JSON: line"),
        ("a: 1\na: 2", "is there twice"),
        (f"{SPEC}\n---\n{SPEC}", "there is more than one pipeline in the file"),
        (f"{SPEC}\n---\n{PLATFORM}\n---\n{PLATFORM}", "there is more than one platform"),
        ("pipelineSpec: 5", "pipelineSpec and platformSpec must be objects"),
    ],
)
def test_files_that_hold_no_pipeline(text: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        documents.parse(text)


def test_few_lines_do_not_become_millions() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(PipelineError, match="holds more than"):
        documents.parse("\n".join(lines))


def test_a_message_in_all_forms_of_json() -> None:
    given = {
        "task_info": {"name": "t"},
        "retryPolicy": {"maxRetryCount": "2", "backoffDuration": "0.5s", "backoffFactor": "2"},
        "iteratorPolicy": {"parallelismLimit": 3.0},
        "triggerPolicy": {"strategy": 2, "condition": None},
        "inputs": {"parameters": {"x": {"runtimeValue": {"constant": None}}}},
    }
    task, wrong = reading.read(messages.Task, given)
    assert not wrong
    assert task.task_info.name == "t"
    assert task.retry_policy == messages.RetryPolicy(2, messages.Seconds(0.5), 2.0)
    assert task.iterator_policy.parallelism_limit == 3
    assert task.trigger_policy == messages.TriggerPolicy("", messages.Strategy.COMPLETED)
    runtime = task.inputs.parameters["x"].runtime_value
    assert runtime is not None
    assert runtime.constant == messages.Value(None)


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        (5, "", "must be an object, not 5 (a number)"),
        ({"taskinfo": {}}, "taskinfo", "unknown field; did you mean taskInfo?"),
        ({"taskInfo": {"name": 5}}, "taskInfo.name", "must be a text, not 5 (a number)"),
        ({"dependentTasks": "a"}, "dependentTasks", "must be a list, not 'a' (a text)"),
        ({"dependentTasks": [1]}, "dependentTasks[0]", "must be a text, not 1 (a number)"),
        (
            {"cachingOptions": {"enableCache": "yes"}},
            "cachingOptions.enableCache",
            "must be true or false, not 'yes' (a text)",
        ),
        (
            {"retryPolicy": {"maxRetryCount": 1.5}},
            "retryPolicy.maxRetryCount",
            "must be a whole number, not 1.5 (a number)",
        ),
        (
            {"retryPolicy": {"backoffDuration": 5}},
            "retryPolicy.backoffDuration",
            'must be a duration in seconds such as "30s", not 5 (a number)',
        ),
        (
            {"triggerPolicy": {"strategy": "NEVER"}},
            "triggerPolicy.strategy",
            "unsupported value 'NEVER', use one of TRIGGER_STRATEGY_UNSPECIFIED, "
            "ALL_UPSTREAM_TASKS_SUCCEEDED, ALL_UPSTREAM_TASKS_COMPLETED",
        ),
        (
            {"inputs": {"parameters": {"x": {"componentInputParameter": "a", "runtimeValue": {}}}}},
            "inputs.parameters.x",
            "only one of runtimeValue, componentInputParameter may be given",
        ),
        (
            {"task_info": {}, "taskInfo": {}},
            "taskInfo",
            "given twice: taskInfo and task_info are the same",
        ),
        (
            {"inputs": {"parameters": {1: {}}}},
            "inputs.parameters.1",
            "the key 1 must be a text: put it in quotes",
        ),
    ],
)
def test_what_is_wrong_with_a_message(given: Any, field: str, message: str) -> None:
    _, (wrong,) = reading.read(messages.Task, given)
    assert (wrong.field, wrong.message) == (field, message)


def test_executors_may_have_fields_that_are_not_known() -> None:
    more = spec()
    more["deploymentSpec"]["executors"]["exec-make"]["container"]["new"] = 1
    Pipeline(more)


ROOT = "root.dag.tasks"


@pytest.mark.parametrize(
    ("path", "value", "field", "message"),
    [
        ("pipelineInfo.name", None, "pipelineInfo.name", "a pipeline must have a name"),
        ("pipelineInfo.name", "Big", "pipelineInfo.name", '"Big": must have lowercase letters'),
        ("schemaVersion", "2.0.0", "schemaVersion", 'must be "2.1.0", not "2.0.0"'),
        ("root.dag", None, "root.dag", "the root must be a graph of tasks"),
        (
            f"{ROOT}.make.componentRef.name",
            "comp-mak",
            f"{ROOT}.make.componentRef.name",
            "there is no component 'comp-mak'; did you mean comp-make?",
        ),
        (
            "components.comp-make.executorLabel",
            "x",
            "components.comp-make.executorLabel",
            "there is no executor 'x'; there is exec-import, exec-make, exec-plain",
        ),
        (
            "components.comp-make.executorLabel",
            None,
            "components.comp-make",
            "must have either dag or executorLabel",
        ),
        (
            "deploymentSpec.executors.exec-make.container.image",
            "",
            "deploymentSpec.executors.exec-make.container.image",
            "a container must have an image",
        ),
        (
            "deploymentSpec.executors.exec-make",
            {"resolver": {}},
            "deploymentSpec.executors.exec-make.resolver",
            "resolvers are not run here; use an importer",
        ),
        (
            "deploymentSpec.executors.exec-make",
            {},
            "deploymentSpec.executors.exec-make",
            "must have either container or importer",
        ),
        (
            "components.comp-make.outputDefinitions.parameters",
            {"../../etc/hosts": {"parameterType": "STRING"}},
            "components.comp-make.outputDefinitions.parameters.../../etc/hosts",
            "an output's name is that of a file",
        ),
        (
            f"{ROOT}.use.dependentTasks",
            ["mak"],
            f"{ROOT}.use.dependentTasks[0]",
            "there is no task 'mak'; did you mean make?",
        ),
        (
            f"{ROOT}.make.inputs.parameters.text",
            {"componentInputParameter": "nme"},
            f"{ROOT}.make.inputs.parameters.text.componentInputParameter",
            "there is no input parameter of the graph 'nme'; did you mean name?",
        ),
        (
            f"{ROOT}.make.inputs.parameters.text",
            {},
            f"{ROOT}.make.inputs.parameters.text",
            "does not say where its value comes from",
        ),
        (
            f"{ROOT}.make.inputs.parameters",
            {},
            f"{ROOT}.make.inputs.parameters.text",
            "comp-make needs a value for it",
        ),
        (
            f"{ROOT}.make.inputs.parameters.count",
            {"runtimeValue": {"constant": "three"}},
            f"{ROOT}.make.inputs.parameters.count.runtimeValue.constant",
            "must be a whole number of at most 2^53-1, not 'three'",
        ),
        (
            f"{ROOT}.make.inputs.parameters.kind",
            {"runtimeValue": {"constant": "c"}},
            f"{ROOT}.make.inputs.parameters.kind.runtimeValue.constant",
            "must be one of 'a', 'b', not 'c'",
        ),
        (
            f"{ROOT}.make.inputs.parameters.text",
            {"componentInputParameter": "name", "parameterExpressionSelector": "a b"},
            f"{ROOT}.make.inputs.parameters.text.parameterExpressionSelector",
            "'a b': ERROR",
        ),
        (
            f"{ROOT}.use.inputs.artifacts.data.taskOutputArtifact.outputArtifactKey",
            "date",
            f"{ROOT}.use.inputs.artifacts.data.taskOutputArtifact.outputArtifactKey",
            "there is no output artifact 'date'; did you mean data?",
        ),
        (
            f"{ROOT}.use.inputs.artifacts.data",
            {"componentInputArtifact": "d"},
            f"{ROOT}.use.inputs.artifacts.data.componentInputArtifact",
            "there is no input artifact of the graph 'd'; there is none",
        ),
        (
            f"{ROOT}.use.inputs.artifacts",
            {},
            f"{ROOT}.use.inputs.artifacts.data",
            "comp-use needs an artifact for it",
        ),
        (
            f"{ROOT}.make.triggerPolicy",
            {"condition": "1 =="},
            f"{ROOT}.make.triggerPolicy.condition",
            "'1 ==': ERROR",
        ),
        (
            f"{ROOT}.make.retryPolicy.maxRetryCount",
            -1,
            f"{ROOT}.make.retryPolicy.maxRetryCount",
            "must be from 0 to 1000, not -1",
        ),
        (
            f"{ROOT}.loop.iteratorPolicy.parallelismLimit",
            -2,
            f"{ROOT}.loop.iteratorPolicy.parallelismLimit",
            "must not be negative: -2",
        ),
        (
            f"{ROOT}.loop.parameterIterator.items",
            {"raw": "{}"},
            f"{ROOT}.loop.parameterIterator.items.raw",
            "must be a list as JSON, not {}",
        ),
        (
            f"{ROOT}.loop.parameterIterator.items",
            {"inputParameter": "x"},
            f"{ROOT}.loop.parameterIterator.items.inputParameter",
            "there is no input parameter of the task 'x'; there is item",
        ),
        (
            "components.comp-loop.dag.outputs.parameters.all.valueFromParameter",
            {"producerSubtask": "make", "outputParameterKey": "o"},
            "components.comp-loop.dag.outputs.parameters.all.valueFromParameter.outputParameterKey",
            "there is no output parameter 'o'; there is out",
        ),
        (
            f"{ROOT}.make.dependentTasks",
            ["use"],
            ROOT,
            "tasks may not wait for one another in a circle: ",
        ),
        (
            "components.comp-loop.dag.tasks.again",
            {
                "componentRef": {"name": "comp-loop"},
                "inputs": {"parameters": {"item": {"componentInputParameter": "item"}}},
            },
            "components",
            "a component may not be part of itself: comp-loop → comp-loop",
        ),
        (
            f"{ROOT}.a/b",
            {
                "componentRef": {"name": "comp-loop"},
                "inputs": {"parameters": {"item": {"componentInputParameter": "name"}}},
            },
            f"{ROOT}.a/b",
            "a task's name must have at most 128 characters, and none of / [ ]",
        ),
    ],
)
def test_what_is_wrong_with_a_pipeline(path: str, value: Any, field: str, message: str) -> None:
    broken = spec()
    *above, last = path.split(".")
    place = broken
    for name in above:
        place = place.setdefault(name, {})
    place[last] = value
    found = causes(broken)
    assert found[0][0] == field
    assert found[0][1].startswith(message)


def test_what_is_wrong_with_a_platform() -> None:
    platform = yaml.safe_load(PLATFORM)
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-make"]
    settings["tolerations"] = [{"toleratonSeconds": 5}]
    place = "platforms.kubernetes.deploymentSpec.executors.exec-make"
    assert causes(spec(), platform) == [
        (
            f"{place}.tolerations[0].toleratonSeconds",
            "unknown field; did you mean tolerationSeconds?",
        )
    ]
    settings["tolerations"] = [{"tolerationJson": {"componentInputParameter": "nme"}}]
    assert (
        f"{place}.tolerations[0].tolerationJson.componentInputParameter",
        "there is no input parameter of the graph 'nme'; did you mean name?",
    ) in causes(spec(), platform)
    assert causes(spec(), {"platform": {}}) == [("platform", "unknown field; there is platforms")]


@pytest.mark.parametrize(
    ("place", "broken"),
    [
        ("dependentTasks", [f"mak-{number}" for number in range(1000)]),
        ("cachingOptions", {f"enable{number}": True for number in range(1000)}),
    ],
)
def test_only_so_much_is_said_at_once(place: str, broken: Any) -> None:
    many = spec()
    many["root"]["dag"]["tasks"]["use"][place] = broken
    assert len(causes(many)) == reading.MOST_CAUSES


def test_graphs_are_only_so_deep_in_one_another() -> None:
    deep = spec()
    component = {"dag": {"tasks": {"t": {"componentRef": {"name": "comp-none"}}}}}
    deep["components"]["comp-none"] = {"executorLabel": "exec-make"}
    for level in range(40):
        inner = copy.deepcopy(component)
        inner["dag"]["tasks"]["t"]["componentRef"]["name"] = (
            f"c{level - 1}" if level else "comp-none"
        )
        deep["components"][f"c{level}"] = inner
    deep["root"]["dag"]["tasks"] = {"t": {"componentRef": {"name": "c39"}}}
    assert causes(deep) == [("components", "graphs are 42 deep in one another; at most 32")]

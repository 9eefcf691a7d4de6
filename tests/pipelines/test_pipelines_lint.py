"""What is doubtful in pipelines that could run."""

from typing import Any

import pytest
import yaml

from wherry.pipelines import lint
from wherry.pipelines.definition import Pipeline

SPEC = """
pipelineInfo: {name: hello}
schemaVersion: 2.1.0
deploymentSpec:
  executors:
    exec-a: {container: {image: "python:3.11", args: ["{{$.inputs.parameters['said']}}"]}}
components:
  comp-a:
    executorLabel: exec-a
    inputDefinitions:
      parameters:
        text: {parameterType: STRING, isOptional: true}
        n: {parameterType: NUMBER_INTEGER, isOptional: true}
    outputDefinitions: {parameters: {out: {parameterType: STRING}, number: {parameterType: NUMBER_DOUBLE}}}
  comp-g: {dag: {tasks: {inner: {componentRef: {name: comp-a}}}}}
root:
  inputDefinitions: {parameters: {name: {parameterType: STRING}}}
  dag:
    tasks:
      a:
        componentRef: {name: comp-a}
        inputs: {parameters: {text: {componentInputParameter: name}, said: {componentInputParameter: name}}}
      g: {componentRef: {name: comp-g}, dependentTasks: [a]}
"""


def spec() -> Any:
    return yaml.safe_load(SPEC)


def test_nothing_is_said_of_what_is_good() -> None:
    assert not lint.findings(Pipeline(spec()))


TASKS = "root.dag.tasks"


@pytest.mark.parametrize(
    ("path", "value", "field", "words"),
    [
        (
            "deploymentSpec.executors.exec-a.container.imagePull",
            "Always",
            "deploymentSpec.executors.exec-a.container.imagePull",
            "did you mean image? (it is passed over)",
        ),
        (
            "deploymentSpec.executors.exec-a.container.image",
            "quay.io:5000/x/trainer",
            "deploymentSpec.executors.exec-a.container.image",
            "name a version",
        ),
        ("components.comp-b", {"executorLabel": "exec-a"}, "components.comp-b", "no task uses it"),
        (
            "root.inputDefinitions.parameters.other",
            {"parameterType": "STRING"},
            "root.inputDefinitions.parameters.other",
            "no task uses it",
        ),
        (f"{TASKS}.g.retryPolicy", {"maxRetryCount": 2}, f"{TASKS}.g.retryPolicy", "on its tasks"),
        (
            f"{TASKS}.a.triggerPolicy",
            {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
            f"{TASKS}.a.triggerPolicy.strategy",
            "no task before it",
        ),
        (
            f"{TASKS}.g.inputs",
            {"parameters": {"txt": {"runtimeValue": {"constant": 1}}}},
            f"{TASKS}.g.inputs.parameters.txt",
            "comp-g has no such input",
        ),
        (
            f"{TASKS}.a.inputs.parameters.n",
            {"componentInputParameter": "name"},
            f"{TASKS}.a.inputs.parameters.n",
            "is STRING, but the input is NUMBER_INTEGER: the task will fail",
        ),
        (
            "components.comp-g.outputDefinitions",
            {"parameters": {"o": {"parameterType": "STRING"}}},
            "components.comp-g.outputDefinitions.parameters.o",
            "does not say which task gives it",
        ),
    ],
)
def test_what_is_doubtful(path: str, value: Any, field: str, words: str) -> None:
    doubtful = spec()
    *above, last = path.split(".")
    place = doubtful
    for name in above:
        place = place.setdefault(name, {})
    place[last] = value
    (found,) = lint.findings(Pipeline(doubtful))
    assert found.field == field
    assert words in found.message


def test_a_number_may_be_given_to_a_number() -> None:
    good = spec()
    made = {"taskOutputParameter": {"producerTask": "a", "outputParameterKey": "number"}}
    good["root"]["dag"]["tasks"]["b"] = {
        "componentRef": {"name": "comp-a"},
        "inputs": {"parameters": {"n": made}},
    }
    assert not lint.findings(Pipeline(good))

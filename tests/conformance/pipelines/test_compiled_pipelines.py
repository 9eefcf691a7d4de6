"""The pipelines that kubeflow/pipelines tests itself with, unmodified, run to their end by real pods.

They are read from the checkout that WHERRY_PIPELINES names; nothing of it is kept. What is wanted is
what upstream's end-to-end test wants of each folder, and the values that its test of local execution
wants. Inputs that have no default are made up as there, but not at random.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from wherry.embedded.settings import Settings
from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import kinds, runs, status
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir import documents
from wherry.pipelines.ir.messages import InputParameter, ParameterType
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually

HERE = Path(__file__).parent
CHECKOUT = os.environ.get("WHERRY_PIPELINES", "")
FOLDER = Path(CHECKOUT) / "test_data" / "sdk_compiled_pipelines" / "valid"
SECONDS = 600
SECRETS = {
    "test-secret-1": {"username": "user1"},
    "test-secret-2": {"password": "psw1"},
    "test-secret-3": {"password": "psw2"},
}
VALUES: Mapping[ParameterType, Any] = {
    ParameterType.NUMBER_INTEGER: 7,
    ParameterType.NUMBER_DOUBLE: 0.5,
    ParameterType.BOOLEAN: True,
    ParameterType.STRUCT: {"A": "0.25", "B": "0.75"},
    ParameterType.LIST: ["one"],
}
WANTED: Mapping[str, tuple[Mapping[str, Any], Any]] = {
    "critical/add_numbers.yaml": ({"a": 5, "b": 5}, 10),
    "critical/flip_coin.yaml": ({}, None),
    "essential/concat_message.yaml": ({"message1": "Hello ", "message2": "World!"}, "Hello World!"),
    "essential/dict_input.yaml": ({"struct": {"test_key": "test_value"}}, None),
    "essential/component_with_env_variable.yaml": ({}, "env_var_value"),
    "essential/lightweight_python_functions_with_outputs.yaml": (
        {
            "first_message": "Hello",
            "second_message": " World",
            "first_number": 10,
            "second_number": 20,
        },
        None,
    ),
    "parallel_and_nested/pipeline_with_loops.yaml": (
        {"loop_parameter": ["item1", "item2", "item3"]},
        None,
    ),
    "identity.yaml": (
        {"value": "test_value"},
        "test_value",
    ),
    "nested_return.yaml": (
        {},
        [{"A_a": "1", "B_b": "2"}, {"A_a": "10", "B_b": "20"}],
    ),
    "arguments_parameters.yaml": (
        {"param1": "arg1", "param2": "arg2"},
        None,
    ),
    "sequential_v1.yaml": (
        {"param1": "First", "param2": "Second"},
        None,
    ),
    "pipeline_with_parallelfor_pipeline_param.yaml": (
        {"prefix": "test-prefix", "loop_parameter": ["a", "b"]},
        None,
    ),
    "pipeline_with_parallelfor_parallelism.yaml": (
        {"loop_parameter": ["item1", "item2", "item3"]},
        None,
    ),
    "local_execution/local_execution_pipeline_with_exit_handler.yaml": (
        {"message": "hi"},
        None,
    ),
    "local_execution/local_execution_pipeline_with_k8s_only_methods.yaml": (
        {"message": "hello"},
        "hello",
    ),
    "local_execution/local_execution_pipeline_with_oneof.yaml": (
        {"pick_a": True},
        "selected:A",
    ),
    "local_execution/local_execution_pipeline_with_retry.yaml": (
        {"counter_path": "COUNTER"},
        "attempt=2",
    ),
    "local_execution/pipeline_with_collected_artifacts.yaml": (
        {},
        "0,1,2",
    ),
}
"""Inputs and output by which upstream's test of local execution knows them; no output: it does not look."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2 * SECONDS),
    pytest.mark.skipif(not CHECKOUT, reason="WHERRY_PIPELINES names no checkout"),
]


def _cases() -> Iterator[Any]:
    for group in ("compiled", "local-execution"):
        path = HERE / "names" / f"{group}.json"
        for row in json.loads(path.read_text(encoding="utf-8")):
            name = row["name"]
            if not row.get("notApplicable"):
                mark = pytest.mark.conformance("pipelines", group=group, name=name)
                yield pytest.param(name, marks=mark, id=name)


@pytest.fixture(scope="module")
def platform() -> Iterator[InProcessPlatform]:
    with tempfile.TemporaryDirectory(prefix="wherry-") as folder:
        # The images' names stand for environments and this machine's tools: nothing is fetched.
        settings = Settings(
            directory=Path(folder) / "platform", port=0, image_runtime="environment", gpus=1
        )
        made = InProcessPlatform(settings)
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def namespace(platform: InProcessPlatform, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own, with the secrets that upstream's test makes."""
    case = request.node.callspec.id
    name = runs.name_of(case.rpartition("/")[2], case)
    platform.call(platform.client.create(core.NAMESPACES, {"metadata": {"name": name}}))
    for secret, data in SECRETS.items():
        body = {"metadata": {"name": secret, "namespace": name}, "stringData": data}
        platform.call(platform.client.create(core.SECRETS, body))
    return name


@pytest.mark.parametrize("name", list(_cases()))
def test_a_compiled_pipeline(
    platform: InProcessPlatform, namespace: str, name: str, tmp_path: Path
) -> None:
    read = documents.parse((FOLDER / name).read_text(encoding="utf-8"))
    inputs, output = WANTED.get(name, ({}, None))
    given = {key: _placed(value, tmp_path) for key, value in inputs.items()}
    wish = runs.Wish(parameters={**_inputs(Pipeline(read.spec, read.platform)), **given})
    run = runs.manifest(read, wish, name="run", namespace=namespace)
    platform.call(platform.client.create(kinds.PIPELINE_RUNS, run))
    run = eventually(lambda: _finished(platform, namespace), seconds=SECONDS)
    failing = name.startswith("failing/")
    assert status.state(run) == (kinds.FAILED if failing else kinds.SUCCEEDED), run["status"]
    if output is not None:
        assert list(run["status"]["outputs"].values()) == [output]


def _placed(value: Any, folder: Path) -> Any:
    return str(folder / "counter") if value == "COUNTER" else value


def _inputs(pipeline: Pipeline) -> dict[str, Any]:
    """Return values for the parameters that must be given."""
    defined = pipeline.spec.root.input_definitions.parameters
    return {name: _value(each) for name, each in defined.items() if _is_wanted(each)}


def _is_wanted(parameter: InputParameter) -> bool:
    return parameter.default_value is None and not parameter.is_optional


def _value(parameter: InputParameter) -> Any:
    return VALUES.get(parameter.parameter_type, "some-text")


def _finished(platform: InProcessPlatform, namespace: str) -> Object:
    run = platform.call(platform.client.get(kinds.PIPELINE_RUNS, "run", namespace))
    assert metadata.name(run) == "run"
    return run if status.is_finished(run) else {}

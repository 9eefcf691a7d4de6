"""Components of all kinds run by real pods, and runs as notebooks show them."""

# Functions of pipelines return outputs to come, which are of no type that could be said.
# mypy: disable-error-code="no-any-return, return, return-value, arg-type, type-arg"

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wherry.pipelines import (
    WORKSPACE_PATH_PLACEHOLDER,
    Collected,
    ContainerSpec,
    CreatePVC,
    Dataset,
    DeletePVC,
    EmbeddedInput,
    FailedRunError,
    Input,
    Output,
    OutputPath,
    ParallelFor,
    PipelineConfig,
    TaskConfig,
    TaskConfigField,
    WorkspaceConfig,
    commands,
    component,
    container_component,
    importer,
    load_component_from_text,
    notebook_component,
    pipeline,
    run,
    run_notebook,
)
from wherry.testing import environments

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 240
IMAGE = "python:3.11"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def shout(text: str) -> str:
    return text.upper()


@container_component
def joined(data: Input[Dataset], word: str, total: OutputPath(str)):  # type: ignore[valid-type]  # KFP's annotation
    script = 'printf "%s %s" "$(cat "$0")" "$1" > "$2"'
    return ContainerSpec(IMAGE, ["sh", "-ec", script], [data.path, word, total])


OLD = """
name: Old style
inputs:
- {name: Some Text, type: String}
- {name: note, type: String, optional: true}
outputs:
- {name: result, type: String}
implementation:
  container:
    image: python:3.11
    command: [sh, -ec, 'printf "%s" "$1" > "$0"', {outputPath: result}]
    args:
    - {concat: [{inputValue: Some Text}, '!']}
    - if: {cond: {isPresent: note}, then: [{inputValue: note}]}
"""


@component
def leave(folder: str, text: str) -> str:
    with open(f"{folder}/left", "w") as file:  # noqa: PTH123 - a step has what it imports
        file.write(text)
    return folder


@component
def find(folder: str) -> str:
    with open(f"{folder}/left") as file:  # noqa: PTH123 - a step has what it imports
        return file.read()


@component(task_config_passthroughs=[TaskConfigField.RESOURCES, TaskConfigField.ENV])
def handed(config: TaskConfig) -> str:
    import os  # noqa: PLC0415 - a step has what it imports

    return f"{config.env[0]['value']} {config.resources['limits']['cpu']} {'SECRET' in os.environ}"


@component
def both(first: str, second: str) -> str:
    return f"{first} / {second}"


@pytest.mark.usefixtures("here")
def test_every_kind_of_component_runs(tmp_path: Path) -> None:
    (tmp_path / "brought").mkdir()
    (tmp_path / "brought" / "note.txt").write_text("brought along")

    @component(embedded_artifact_path=tmp_path / "brought", additional_funcs=[shout])
    def uses(files: EmbeddedInput[Dataset], data: Output[Dataset]):
        with open(f"{files.path}/note.txt") as note, open(data.path, "w") as file:  # noqa: PTH123 - a step has what it imports
            file.write(shout(note.read()))

    old = load_component_from_text(OLD)

    @pipeline
    def flow(word: str) -> str:
        made = joined(data=uses().outputs["data"], word=word)
        return both(first=made.output, second=old(some_text=made.output).output).output

    started = run(flow, {"word": "in pods"})
    assert started.result(SECONDS) == "BROUGHT ALONG in pods / BROUGHT ALONG in pods!"
    started.delete()
    single = run(both, {"first": "a", "second": "b"})
    assert single.result(SECONDS) == "a / b"
    single.delete()


@pytest.mark.usefixtures("here")
def test_volumes_and_settings_take_effect() -> None:
    @pipeline(pipeline_config=PipelineConfig(workspace=WorkspaceConfig("10Mi")))
    def flow() -> str:
        left = leave(folder=WORKSPACE_PATH_PLACEHOLDER, text="in the workspace")
        found = find(folder=left.output)
        claim = CreatePVC(
            access_modes=["ReadWriteOnce"],
            size="1Mi",
            pvc_name_suffix="-own",
            storage_class_name="standard",
        )
        one = leave(folder="/data", text="in a claim").mount_pvc(claim.output, "/data")
        other = find(folder="/data").mount_pvc(claim.output, "/data").after(one)
        DeletePVC(pvc_name=claim.output).after(other)
        told = handed().set_cpu_limit("100m").set_env_variable("SECRET", "handed")
        texts = both(first=found.output, second=other.output)
        return both(first=texts.output, second=told.output).output

    started = run(flow)
    assert started.result(SECONDS) == "in the workspace / in a claim / handed 100m False"
    started.delete()


@component
def write(text: str, data: Output[Dataset]) -> str:
    with open(data.path, "w") as file:  # noqa: PTH123 - a step has what it imports
        file.write(text)
    return f"{text}!"


@component
def gather(texts: list, data: Input[list[Dataset]]) -> dict:
    read = [open(each.path).read() for each in data]  # noqa: PTH123, SIM115 - a step has what it imports
    return {"texts": texts, "data": read}


@component
def measure(data: Input[Dataset]) -> int:
    with open(data.path) as file:  # noqa: PTH123 - a step has what it imports
        return len(file.read())


@component
def total(numbers: list, gathered: dict) -> dict:
    return {**gathered, "letters": sum(int(each) for each in numbers)}


@pytest.mark.usefixtures("here")
def test_loops_in_loops_give_lists_of_values_and_of_artifacts() -> None:
    @pipeline
    def flow(rows: list) -> dict:
        with ParallelFor(rows, parallelism=1) as row, ParallelFor(row.words) as word:
            made = write(text=word)
        artifacts = Collected(made.outputs["data"])
        found = gather(texts=Collected(made.outputs["Output"]), data=artifacts)
        with ParallelFor(artifacts) as data:
            letters = measure(data=data)
        return total(numbers=Collected(letters.output), gathered=found.output).output

    started = run(flow, {"rows": [{"words": ["a", "bb"]}, {"words": []}, {"words": ["cccc"]}]})
    assert started.result(SECONDS) == {
        "texts": ["a!", "bb!", "cccc!"],
        "data": ["a", "bb", "cccc"],
        "letters": 7,
    }
    started.delete()


@pytest.mark.usefixtures("here")
def test_what_is_imported_has_metadata_of_other_tasks(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("there already")

    @component
    def read(data: Input[Dataset]) -> str:
        with open(data.path) as file:  # noqa: PTH123 - a step has what it imports
            return f"{file.read()} {data.metadata['by']}"

    @pipeline
    def flow(uri: str) -> str:
        by = both(first="a", second="b")
        return read(data=importer(uri, Dataset, metadata={"by": by.output}).output).output

    started = run(flow, {"uri": f"file://{tmp_path}/data"})
    assert started.result(SECONDS) == "there already a / b"
    started.delete()


# Notebooks.


@pytest.fixture(scope="module")
def packages() -> Path:
    """Return a folder with what runs notebooks."""
    pins = ROOT / "requirements" / "notebooks.txt"
    made = environments.environment(pins, ROOT / "build" / "clients")
    (found,) = made.glob("lib/python3*/site-packages")
    return found


@pytest.fixture
def notebook(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes notebooks."""

    def write(*cells: str) -> Path:
        made: list[Any] = [
            {
                "cell_type": "code",
                "id": f"cell-{at}",
                "execution_count": None,
                "metadata": {"tags": [] if at else ["parameters"]},
                "outputs": [],
                "source": source,
            }
            for at, source in enumerate(cells)
        ]
        path = tmp_path / "note.ipynb"
        document = {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        path.write_text(json.dumps(document))
        return path

    return write


def _noted(path: Path) -> Any:
    @notebook_component(notebook_path=path, packages_to_install=[])
    def noted(text: str, made: Output[Dataset]):
        run_notebook(text=text, path=made.path)

    return noted


CELLS = (
    "text = 'default'; path = ''; kept = 'kept'",
    "print('the text is', text, kept)\nassert text != 'wrong', 'a wrong text'",
    "with open(path, 'w') as file:\n    file.write(text.upper())\n'shown'",
)


@pytest.mark.usefixtures("here")
def test_a_notebook_runs_in_a_pod(notebook: Callable[..., Path], packages: Path) -> None:
    noted = _noted(notebook(*CELLS))

    @component
    def read(data: Input[Dataset]) -> str:
        with open(data.path) as file:  # noqa: PTH123 - a step has what it imports
            return file.read()

    @pipeline
    def flow(text: str) -> str:
        made = noted(text=text).set_env_variable("PYTHONPATH", str(packages))
        return read(data=made.outputs["made"]).output

    started = run(flow, {"text": "from outside"})
    assert started.result(SECONDS) == "FROM OUTSIDE"
    lines = [*started.logs("noted")]
    assert any(line.endswith("the text is from outside kept") for line in lines)
    assert any("'shown'" in line for line in lines)
    started.delete()
    failed = run(flow, {"text": "wrong"})
    with pytest.raises(FailedRunError, match=r"AssertionError.*a wrong text"):
        failed.result(SECONDS)
    failed.delete()


IN_PROCESS = """
import sys

from wherry.pipelines import Dataset, Output, notebook_component, pipeline, run_notebook


@notebook_component(notebook_path=sys.argv[1])
def noted(text: str, made: Output[Dataset]):
    run_notebook(text=text, path=made.path)


@pipeline
def flow(text: str) -> Dataset:
    return noted(text=text).outputs["made"]


with open(flow(text="from here").path) as file:
    print(file.read())
noted(text="called", made=Dataset(uri=sys.argv[2]))
"""


def _python(packages: Path, *words: str) -> str:
    """Run a program of this Python, with what runs notebooks."""
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_notebook_runs_in_process(
    notebook: Callable[..., Path], packages: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(IN_PROCESS)
    said = _python(packages, str(program), str(notebook(*CELLS)), str(tmp_path / "made"))
    assert "the text is from here kept" in said
    assert "FROM HERE" in said
    assert (tmp_path / "made").read_text() == "CALLED"


def test_upstream_s_executor_runs_what_a_component_brings_along(
    notebook: Callable[..., Path], packages: Path, tmp_path: Path
) -> None:
    pins = ROOT / "requirements" / "clients-pipelines.txt"
    python = environments.environment(pins, ROOT / "build" / "clients") / "bin" / "python"
    container = _noted(notebook(*CELLS)).executor["container"]
    launch = commands.recognise(container["command"], container["args"])
    assert launch is not None
    (tmp_path / "source.py").write_text(launch.source)
    made = {
        "name": "made",
        "type": {"schemaTitle": "system.Dataset"},
        "uri": str(tmp_path / "made"),
    }
    told = {
        "inputs": {"parameterValues": {"text": "upstream"}},
        "outputs": {
            "artifacts": {"made": {"artifacts": [made]}},
            "outputFile": str(tmp_path / "output.json"),
        },
    }
    words = ["-m", "kfp.dsl.executor_main", "--component_module_path", str(tmp_path / "source.py")]
    words += ["--executor_input", json.dumps(told), "--function_to_execute", "noted"]
    environment = {**os.environ, "PYTHONPATH": str(packages), "_KFP_RUNTIME": "true"}
    subprocess.run([str(python), *words], check=True, timeout=300, env=environment)
    assert (tmp_path / "made").read_text() == "UPSTREAM"


SHOWN = """
import sys

import nbclient
import nbformat

notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, kernel_name="python3", timeout=240).execute(cwd=sys.argv[2])
nbformat.write(notebook, sys.argv[1])
"""
FOLLOWING = """
from flow_shown import flow
from wherry.pipelines import run

started = run(flow, {"n": 3})
started.follow()
"""
FLOW_SHOWN = """
from wherry.pipelines import component, pipeline


@component
def double(n: int) -> int:
    return 2 * n


@pipeline
def flow(n: int) -> int:
    return double(n=n).output
"""


@pytest.mark.usefixtures("here")
def test_a_notebook_shows_a_run_s_picture_while_it_goes_on(
    notebook: Callable[..., Path], packages: Path, tmp_path: Path
) -> None:
    path = notebook(FOLLOWING, "started", "flow")
    (tmp_path / "flow_shown.py").write_text(FLOW_SHOWN)
    _python(packages, "-c", SHOWN, str(path), str(tmp_path))
    cells = json.loads(path.read_text())["cells"]
    for cell in cells[:2]:
        shown = [
            each["data"]["text/html"]
            for each in cell["outputs"]
            if "text/html" in each.get("data", {})
        ]
        whole = "".join(map("".join, shown))
        assert "SUCCEEDED  1/1" in whole
        assert "<td>Output</td><td><code>6</code></td>" in whole
        assert "<svg" in whole
    (data,) = [each["data"] for each in cells[2]["outputs"]]
    assert "".join(data["image/svg+xml"]).startswith("<svg")

"""Components of all kinds: with files of their own, of notebooks, of images, loaded; what is refused of each."""

# Functions of pipelines return outputs to come, which are of no type that could be said.
# mypy: disable-error-code="no-any-return, return, return-value, arg-type, type-arg"

import ast
import json
import os
import subprocess
import sys
import threading
import typing
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from wherry import pipelines
from wherry.pipelines import (
    CompileError,
    ConcatPlaceholder,
    ContainerSpec,
    Dataset,
    EmbeddedInput,
    FailedRunError,
    IfPresentPlaceholder,
    Input,
    InputPath,
    Model,
    Output,
    OutputPath,
    ParallelFor,
    commands,
    component,
    container_component,
    importer,
    load_component_from_file,
    load_component_from_text,
    load_component_from_url,
    notebook_component,
    pipeline,
    run_notebook,
    sdk,
)
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir.documents import MOST_BYTES
from wherry.pipelines.runtime import FOLDER
from wherry.pipelines.sdk.components import Component

ROOT = Path(__file__).resolve().parents[2]


def test_the_sdk_s_names_are_the_package_s_and_come_when_asked_for() -> None:
    assert sorted(vars(pipelines)["__all__"]) == sorted(sdk.__all__)
    stub = (Path(pipelines.__file__).parent / "__init__.pyi").read_text()
    (imported,) = ast.parse(stub).body
    assert ast.unparse(imported) == "from wherry.pipelines.sdk import *"
    program = """
import sys
import wherry.components
from wherry.pipelines import kinds

assert not [name for name in sys.modules if name.startswith("wherry.pipelines.sdk")]
from wherry.pipelines import Dataset, component, pipeline

assert callable(component) and callable(pipeline) and "component" in dir(wherry.pipelines)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from wherry.pipelines import nothing  # type: ignore[attr-defined]  # noqa: F401,PLC0415 - what is tested


def test_a_kfp_that_is_installed_beside_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "kfp").mkdir()
    (tmp_path / "kfp" / "__init__.py").write_text("raise ImportError('not asked for')\n")
    program = "from wherry.pipelines import Dataset; print(Dataset.__module__)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    words = [sys.executable, "-c", program]
    said = subprocess.run(words, check=True, timeout=120, env=environment, capture_output=True)
    assert said.stdout.strip() == b"wherry.pipelines.runtime.kfp.dsl.types.artifact_types"


# Files that come along.


def _brought(folder: Path) -> Path:
    (folder / "inner").mkdir(parents=True)
    (folder / "brought_module.py").write_text("ANSWER = 42\n")
    (folder / "inner" / "note.txt").write_text("brought along")
    return folder


def shout(text: str) -> str:
    return text.upper()


def _with_files(path: Path) -> Any:
    @component(embedded_artifact_path=path, additional_funcs=[shout])
    def uses(files: EmbeddedInput[Dataset], times: int) -> str:
        import brought_module  # type: ignore[import-not-found]  # noqa: PLC0415 - it is brought along

        with open(f"{files.path}/inner/note.txt") as file:  # noqa: PTH123 - a step has what it imports
            return shout(file.read()) * times + str(brought_module.ANSWER)

    return uses


def test_files_and_functions_come_along(tmp_path: Path) -> None:
    uses = _with_files(_brought(tmp_path / "brought"))

    @pipeline
    def flow() -> str:
        return uses(times=2).output

    path = [*sys.path]
    assert flow() == "BROUGHT ALONG" * 2 + "42"
    assert uses(times=1) == "BROUGHT ALONG42"
    assert sys.path == path
    assert list(uses.interface.inputs) == ["times"]
    del sys.modules["brought_module"]


def test_one_file_is_its_own_path_and_the_same_files_are_the_same_source(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("a note")

    def made() -> Any:
        @component(embedded_artifact_path=file)
        def length(note: EmbeddedInput[Dataset]) -> int:
            with open(note.path) as opened:  # noqa: PTH123 - a step has what it imports
                return len(opened.read())

        return length

    first = made()
    os.utime(file, (1, 1))
    second = made()
    assert first.executor == second.executor
    assert first() == len("a note")


def test_files_that_cannot_come_along(tmp_path: Path) -> None:
    folder = _brought(tmp_path / "brought")
    with pytest.raises(CompileError, match="there is no such file or folder to embed"):
        _with_files(tmp_path / "absent")
    (tmp_path / "secret").write_text("x")
    (folder / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(CompileError, match="must lead to a file in"):
        _with_files(folder)
    (folder / "out").unlink()
    (folder / "large").write_bytes(os.urandom(128 * 1024))
    with pytest.raises(CompileError, match=r"has \d+ bytes, and a command takes 131071"):
        _with_files(folder)


def _executed(container: Any, told: Any) -> Any:
    """Run a Python component's source by the runtime of steps; return what it wrote."""
    launch = commands.recognise(container["command"], container["args"])
    assert launch is not None
    words = launch.command(sys.executable)
    words[words.index("{{$}}")] = json.dumps(told)
    environment = {**os.environ, "PYTHONPATH": str(FOLDER)}
    subprocess.run(words, check=True, timeout=120, env=environment)
    return json.loads(Path(told["outputs"]["outputFile"]).read_text())


def test_in_a_step_they_come_along_too(tmp_path: Path) -> None:
    uses = _with_files(_brought(tmp_path / "brought"))
    told = {
        "inputs": {"parameterValues": {"times": 1}},
        "outputs": {"outputFile": str(tmp_path / "out" / "output.json")},
    }
    written = _executed(uses.executor["container"], told)
    assert written["parameterValues"] == {"Output": "BROUGHT ALONG42"}


# Notebooks.

CELLS = [
    ("parameters", "text = 'default'\npath = ''\n"),
    ("", "print('the text is', text)"),
    ("", "with open(path, 'w') as file:\n    file.write(text)"),
]


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """Return a notebook."""
    cells: list[Any] = [
        {
            "cell_type": "code",
            "id": f"cell-{at}",
            "execution_count": None,
            "metadata": {"tags": [tag] if tag else []},
            "outputs": [],
            "source": source,
        }
        for at, (tag, source) in enumerate(CELLS)
    ]
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path = tmp_path / "notes" / "note.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps(document))
    return path


def _of_notebook(path: Path) -> Any:
    @notebook_component(notebook_path=path)
    def noted(text: str, made: Output[Dataset]):
        run_notebook(text=text, path=made.path)

    return noted


def test_a_notebook_is_a_component(notebook: Path) -> None:
    for path in (notebook, notebook.parent):
        noted = _of_notebook(path)
        assert (list(noted.interface.inputs), list(noted.interface.outputs)) == (["text"], ["made"])
        container = noted.executor["container"]
        launch = commands.recognise(container["command"], container["args"])
        assert launch is not None
        assert [each.partition(">")[0] for each in launch.requirements] == [
            "nbclient",
            "ipykernel",
            "jupyter_client",
        ]
        assert "/note.ipynb" in launch.source
    with pytest.raises(CompileError, match="only the function of a notebook_component"):
        run_notebook(text="a")
    (notebook.parent / "other.ipynb").write_text("{}")
    with pytest.raises(CompileError, match="want one notebook in it; there are 2"):
        _of_notebook(notebook.parent)
    with pytest.raises(CompileError, match=r"is no file that ends in \.ipynb"):
        _of_notebook(notebook.with_suffix(".py"))


# Images.


@container_component
def counts(
    data: Input[Dataset],
    rest: Input[list[Dataset]],
    n: int,
    old: InputPath(Dataset),  # type: ignore[valid-type]  # KFP's annotation
    model: Output[Model],
    total: OutputPath(int),  # type: ignore[valid-type]  # likewise
    extra: str = "none",
):
    either = IfPresentPlaceholder("extra", ["--extra", extra], ["--none"])
    return ContainerSpec(
        image="busybox:1.36",
        command=["sh", "-c", f"wc {n} {data.path} > {total}"],
        args=[data.metadata["rows"], rest, model.uri, old, ConcatPlaceholder(["a", n]), either],
    )


def test_a_function_may_say_that_it_returns_a_container() -> None:
    @container_component
    def told(n: int) -> ContainerSpec:
        return ContainerSpec(image="busybox:1.36", command=["echo", n])

    assert not told.interface.outputs
    assert told.executor["container"]["image"] == "busybox:1.36"


def test_an_image_with_a_command() -> None:
    assert counts.executor["container"] == {
        "image": "busybox:1.36",
        "command": [
            "sh",
            "-c",
            "wc {{$.inputs.parameters['n']}} {{$.inputs.artifacts['data'].path}} > "
            "{{$.outputs.parameters['total'].output_file}}",
        ],
        "args": [
            "{{$.inputs.artifacts['data'].metadata['rows']}}",
            "{{$.inputs.artifacts['rest']}}",
            "{{$.outputs.artifacts['model'].uri}}",
            "{{$.inputs.artifacts['old'].path}}",
            """{"Concat": ["a", "{{$.inputs.parameters['n']}}"]}""",
            '{"IfPresent": {"InputName": "extra", "Then": ["--extra", '
            """"{{$.inputs.parameters['extra']}}"], "Else": ["--none"]}}""",
        ],
    }
    assert counts.interface.inputs["extra"].default == "none"
    with pytest.raises(CompileError, match="is no Python function"):
        counts(n=1)


def _no_spec(n: int):
    return n


def _whole_artifact(data: Input[Dataset]):
    return ContainerSpec("a", [f"{data}"])


def _a_number():
    return ContainerSpec("a", ["sleep", 1])


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (_no_spec, "return a ContainerSpec, not"),
        (_whole_artifact, r"use its \.path"),
        (_a_number, "1 is no text, and cannot be in a command"),
    ],
)
def test_images_that_are_no_components(function: Any, words: str) -> None:
    with pytest.raises(CompileError, match=words):
        container_component(function)


def test_an_image_that_has_the_function_already() -> None:
    @component(target_image="registry.example/made:1", packages_to_install=["x"])
    def inside(n: int) -> int:
        return n

    container = inside.executor["container"]
    launch = commands.recognise(container["command"], container["args"])
    assert launch is not None
    assert container["image"] == "registry.example/made:1"
    assert (launch.own_kfp, launch.requirements, launch.source) == (True, ("x",), "")
    assert inside(n=3) == 3


# Loaded.


@component
def greet(name: str, times: int = 2) -> str:
    return f"hello {name} " * times


@component
def halve(n: int) -> float:
    return 1 / n


@pipeline
def greeting(name: str, times: int = 2) -> str:
    with ParallelFor(["a", "b"]) as each:
        greet(name=each)
    return greet(name=name, times=times).output


def test_what_was_compiled_is_loaded_and_called(tmp_path: Path) -> None:
    pipeline(greet).compile(tmp_path / "greet.yaml")
    greeting.compile(tmp_path / "greeting.yaml")
    single = load_component_from_file(tmp_path / "greet.yaml")
    whole = load_component_from_text((tmp_path / "greeting.yaml").read_text())
    assert single.interface == greet.interface
    assert whole.interface.outputs == greeting.interface.outputs

    @pipeline
    def flow(name: str = "you") -> str:
        with ParallelFor(["x"]) as each:
            whole(name=each)
        return single(name=whole(name=name).output).output

    read = flow.documents()
    found = Pipeline(read.spec, read.platform)
    assert found.graph.nodes["greet"].component == "comp-greet"
    # Both have a loop of that name; each keeps its own.
    loops = [name for name in read.spec["components"] if name.startswith("comp-for-loop")]
    bodies = [set(read.spec["components"][name]["dag"]["tasks"]) for name in loops]
    assert sorted(map(sorted, bodies)) == [["greet"], ["greet"], ["greeting"]]
    # Their source is known, and a child runs it.
    assert flow(name="X") == f"hello {'hello X ' * 2} " * 2


def test_a_loaded_step_that_cannot_be_run_here_or_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pipeline(halve).compile(tmp_path / "halve.yaml")
    loaded, old = load_component_from_file(tmp_path / "halve.yaml"), load_component_from_text(OLD)

    @pipeline
    def fails():
        loaded(n=0)

    with pytest.raises(FailedRunError, match="halve: StepError: exit code 1"):
        fails()
    assert "ZeroDivisionError" in capfd.readouterr().err

    @pipeline
    def foreign():
        old(data=importer("/tmp/x", Dataset).output)

    with pytest.raises(FailedRunError, match="trains-things is no Python function: run it on a cl"):
        foreign()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Return the address of a server of a folder's files."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_from_an_address_too(served: str, tmp_path: Path) -> None:
    pipeline(greet).compile(tmp_path / "greet.yaml")
    assert load_component_from_url(f"{served}/greet.yaml").interface == greet.interface
    with pytest.raises(CompileError, match="want an address of http or https"):
        load_component_from_url("file:///etc/passwd")


OLD = """
name: Trains things
inputs:
- {name: Learning Rate, type: Float, default: '0.1'}
- {name: data, type: Dataset}
- {name: flags, type: JsonArray, default: '["a"]'}
- {name: note, optional: true}
outputs:
- {name: model, type: Model}
- {name: loss, type: Float}
implementation:
  container:
    image: registry.example/trainer
    command: [train, {inputPath: data}, --rate, {inputValue: Learning Rate}]
    args:
    - {concat: [--model=, {outputPath: model}]}
    - {outputPath: loss}
    - if: {cond: {isPresent: note}, then: [--note, {inputUri: note}]}
    env: {A: b}
"""


def test_files_of_the_first_version() -> None:
    loaded = load_component_from_text(OLD)
    assert isinstance(loaded, Component)
    assert loaded.name == "trains-things"
    ports = loaded.interface.inputs
    assert (ports["learning_rate"].default, ports["flags"].default) == (0.1, ["a"])
    assert (ports["note"].artifact, ports["note"].optional) == ("system.Artifact", True)
    assert loaded.executor["container"] == {
        "image": "registry.example/trainer",
        "command": [
            *("train", "{{$.inputs.artifacts['data'].path}}"),
            *("--rate", "{{$.inputs.parameters['learning_rate']}}"),
        ],
        "args": [
            """{"Concat": ["--model=", "{{$.outputs.artifacts['model'].path}}"]}""",
            "{{$.outputs.parameters['loss'].output_file}}",
            """{"IfPresent": {"InputName": "note", "Then": ["--note", "{{$.inputs.artifacts['note'].uri}}"]}}""",
        ],
        "env": [{"name": "A", "value": "b"}],
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("implementation: {}", "implementation.container.image"),
        (OLD.replace("inputPath: data", "inputPath: dada"), "inputPath: dada: want .* of learning_rate"),
        (OLD.replace("'0.1'", "soon"), "inputs.Learning Rate: default 'soon' is no NUMBER_DOUBLE"),
        (OLD.replace("isPresent: note", "isPresent: node"), "command: if: want .* of inputs there is learning_rate"),
        (OLD.replace("[--model=, {outputPath: model}]", "--model"), "command: concat: want a list, not '--model'"),
        (OLD.replace("{A: b}", "[A]"), "implementation.container.env: want values by name"),
        ("implementation: {container: {image: a, command: echo}}", "container.command: want a list, not 'echo'"),
        ("{implementation: {container: {image: a}}, inputs: 5}", "inputs: want a list, not 5"),
        ("implementation: 5", "implementation.container.image"),
        ("a: 1", "the text: "),
        ("[", "neither YAML nor JSON"),
    ],
)  # fmt: skip
def test_texts_that_are_no_components(text: str, words: str) -> None:
    with pytest.raises(CompileError, match=words):
        load_component_from_text(text)


def test_files_that_are_no_text_or_too_large(tmp_path: Path) -> None:
    file = tmp_path / "component.yaml"
    file.write_bytes(b"a: \xff")
    with pytest.raises(CompileError, match=r"component.yaml: want a text in UTF-8"):
        load_component_from_file(file)
    # Of characters there are fewer.
    file.write_text("# " + "ä" * (MOST_BYTES // 2), encoding="utf-8")
    with pytest.raises(CompileError, match=r"component.yaml: the file is larger than 8 MiB"):
        load_component_from_file(file)


# What is said of values.


class Two(NamedTuple):
    first: str
    second: list


@component
def two(n: int) -> Two:
    return Two("x" * n, list(range(n)))


@component
def twice(n: int) -> int:
    return 2 * n


@component
def fields(table: dict) -> int:
    return len(table)


@component
def bare_types(words: typing.List, table: typing.Dict) -> typing.List:  # noqa: UP006 - as people write them
    return [*words, *table]


def test_outputs_of_a_task_may_be_returned_as_they_are() -> None:
    @pipeline
    def flow() -> Two:
        return two(n=2).outputs

    found = flow()
    assert (found.first, found.second) == ("xx", [0, 1])


def test_types_of_typing_need_say_nothing_of_what_is_in_them() -> None:
    @pipeline
    def flow() -> list:
        return bare_types(words=["a"], table={"b": 1}).output

    assert flow() == ["a", "b"]


def test_items_of_a_list_are_what_its_annotation_says() -> None:
    @pipeline
    def flow(numbers: list[int], tables: list[dict]):
        with ParallelFor(numbers) as number:
            twice(n=number)
        with ParallelFor(tables) as table:
            fields(table=table)

    components = flow.document()["components"]
    kinds = [
        each["parameterType"]
        for name in ("comp-for-loop-1", "comp-for-loop-2")
        for key, each in components[name]["inputDefinitions"]["parameters"].items()
        if key.endswith("-loop-item")
    ]
    assert kinds == ["NUMBER_INTEGER", "STRUCT"]
    flow(numbers=[1], tables=[{"a": 1}])

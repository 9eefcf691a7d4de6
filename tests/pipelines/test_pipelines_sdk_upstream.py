"""What the SDK compiles is what KFP's compiler makes of the same functions, but for the command of a component."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.pipelines.sdk import files
from wherry.testing import environments

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements" / "clients-pipelines.txt"
OURS = """
from typing import *
from wherry.pipelines.sdk import *
"""
THEIRS = """
from typing import *
from kfp.dsl import *
"""
PIPELINES = """
@component
def make(rows: int, data: Output[Dataset]) -> int:
    return rows


@component
def total(data: Input[Dataset], scale: float = 1.0) -> float:
    return scale


@component
def say(text: str) -> str:
    return text


@component
def add(numbers: list) -> float:
    return sum(numbers)


@component
def merge(data: Input[List[Dataset]], out: Output[Model]):
    pass


@component
def several(n: int) -> NamedTuple("Several", [("items", list), ("word", str)]):
    pass


@component
def options(a: Optional[str] = None, b: int = 3, c: dict = {"k": 1}):
    pass


@component
def done(status: PipelineTaskFinalStatus, note: str = "n"):
    pass


@pipeline
def inner(text: str, n: int = 3) -> str:
    a = say(text=text)
    b = say(text=f"{a.output} and {text}")
    return b.output


@pipeline
def flow(rows: int = 5, names: list = ["a", "b"], flag: bool = True) -> float:
    with ExitHandler(done(note="bye")):
        made = make(rows=rows)
        made.set_retry(2, backoff_duration="30s")
        with ParallelFor([1.0, 2.0, 3.0], parallelism=2) as scale:
            t = total(data=made.outputs["data"], scale=scale)
            x = make(rows=3).set_caching_options(False)
        add(numbers=Collected(t.output))
        merge(data=Collected(x.outputs["data"]))
        coin = say(text="heads")
        with If(coin.output == "heads"):
            a = say(text=f"heads of {made.outputs['Output']}")
        with Elif(made.outputs["Output"] > 3):
            e = say(text="edge")
        with Else():
            b = say(text="tails")
        say(text=OneOf(a.output, e.output, b.output))
    items = several(n=2).set_env_variable("A", "b")
    with ParallelFor(items.outputs["items"]) as item:
        say(text=item)
        with If(flag == True):
            say(text="flag")
        with ParallelFor(names) as name:
            say(text=name)
    with ParallelFor([{"k": "v"}]) as pair:
        say(text=pair.k)
    i = inner(text="hello")
    o = options()
    o.after(i)
    say(text=i.output).after(items)
    say(text="last").after(o).ignore_upstream_failure()
    im = importer(artifact_uri="gs://b/x", artifact_class=Dataset, reimport=False)
    return total(data=im.output).output
"""
COMPILING = """
import sys
import warnings

sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")
import theirs
from kfp import compiler

compiler.Compiler().compile(theirs.flow, sys.argv[2])
"""
READING = """
import json
import sys

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

json_format.Parse(sys.stdin.read(), pipeline_spec_pb2.PipelineSpec())
"""


@pytest.fixture(scope="module")
def python() -> Path:
    return environments.environment(PINS, ROOT / "build" / "clients") / "bin" / "python"


def _whole(document: Any) -> Any:
    """Return a pipeline as one tree: which component stands where, under whatever name."""
    components = {**document["components"], "root": document["root"]}

    def unfolded(component: Any) -> Any:
        found = {"in": component.get("inputDefinitions"), "out": component.get("outputDefinitions")}
        if "dag" not in component:
            label = component["executorLabel"]
            executor = json.loads(json.dumps(document["deploymentSpec"]["executors"][label]))
            for own in ("command", "image"):
                executor.get("container", {}).pop(own, None)
            return {**found, "executor": executor}
        tasks = json.loads(json.dumps(component["dag"]["tasks"]))
        for task in tasks.values():
            task["component"] = unfolded(components[task.pop("componentRef")["name"]])
        return {**found, "tasks": tasks, "outputs": component["dag"].get("outputs")}

    return unfolded(document["root"])


def _run(python: Path, program: str, *words: str, given: str = "") -> None:
    subprocess.run(
        [str(python), "-c", program, *words],
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_same_pipeline_as_upstream(python: Path, tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text(OURS + PIPELINES)
    (tmp_path / "theirs.py").write_text(THEIRS + PIPELINES)
    compiled = tmp_path / "theirs.yaml"
    _run(python, COMPILING, str(tmp_path), str(compiled))
    ours = files.load(tmp_path / "ours.py", "flow").document()
    assert _whole(ours) == _whole(yaml.safe_load(compiled.read_text()))
    # And upstream reads it, strictly.
    _run(python, READING, given=json.dumps(ours))

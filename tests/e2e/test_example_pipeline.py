"""The example of a whole pipeline: as `make demo` runs it, and as it fails where it should."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wherry.pipelines import lint
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.sdk import files

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "02-pipeline"
WHERRY = ("-m", "wherry.cli")
RUN = (*WHERRY, "pipelines", "run", "pipeline.py", "-n", "digits")
AS_PIPELINE = ("--service-account", "pipeline")

Python = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def python() -> Iterator[Python]:
    """Give what runs Python with a Wherry of the tests' own."""
    with tempfile.TemporaryDirectory(prefix="wherry-e2e-") as home:
        environment = {**os.environ, "WHERRY_HOME": f"{home}/wherry"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def run(*words: str, seconds: float = 300) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                [sys.executable, *words],
                cwd=FOLDER,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )

        try:
            yield run
        finally:
            run(*WHERRY, "down", seconds=120)


@pytest.fixture(scope="module")
def demonstration(python: Python) -> str:
    """Give what the demonstration prints."""
    done = python("demo.py", seconds=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_pipeline_compiles_and_nothing_in_it_is_doubtful() -> None:
    read = files.load(FOLDER / "pipeline.py").documents()
    assert lint.findings(Pipeline(read.spec, read.platform)) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_demonstration(demonstration: str) -> None:
    told = re.findall(r"accuracy: (0\.\d+), as served: (0\.\d+)", demonstration)
    assert told, demonstration
    assert float(told[0][0]) > 0.94
    # What the server says of all images to test with is what the model has said itself.
    assert told[0][0] == told[0][1]
    assert float(re.findall(r"ROC curve: (0\.\d+)", demonstration)[0]) > 0.99
    matrix = re.findall(r"^ {7}\d((?: +[.\d]+){10})$", demonstration, re.MULTILINE)
    assert len(matrix) == 10
    assert sum(int(each) for row in matrix for each in row.split() if each != ".") == 360
    assert "10 tasks, 0 of them from cache" in demonstration
    # The server is looked after each time.
    assert "10 tasks, 9 of them from cache" in demonstration
    assert re.findall(r"taken for a (\d)", demonstration) == ["0", "1", "7"]
    lineage = demonstration.partition("came from\n")[2].partition("\n[")[0]
    told = re.findall(r"─ (predict|model|train|learn|split|images|load|test)\b", lineage)
    assert told[:7] == ["predict", "model", "train", "learn", "split", "images", "load"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("-p", "least_share=0.2"), "the data is refused: each digit is 20.0% of them or more"),
        (("-p", "least_accuracy=1.0"), "is below 1.0: it is not served"),
        (("-p", "trials=0"), "maxTrialCount"),
    ],
)
def test_what_is_wrong_is_refused_and_said(
    python: Python, demonstration: str, words: tuple[str, ...], why: str
) -> None:
    assert demonstration
    done = python(*RUN, *AS_PIPELINE, *words)
    assert done.returncode == 1, done.stdout + done.stderr
    assert why in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_without_rights_a_step_can_change_nothing(python: Python, demonstration: str) -> None:
    assert demonstration
    done = python(*RUN)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "serve" in done.stdout
    assert "cannot patch" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_server_that_was_removed_is_made_again(python: Python, demonstration: str) -> None:
    assert demonstration
    gone = python(*WHERRY, "delete", "deployment/digits", "-n", "digits")
    assert gone.returncode == 0, gone.stderr
    done = python(*RUN, *AS_PIPELINE)
    assert done.returncode == 0, done.stdout + done.stderr
    left = python(*WHERRY, "get", "deployment", "digits", "-n", "digits")
    assert "1/1" in left.stdout

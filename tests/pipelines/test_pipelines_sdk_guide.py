"""The page on pipelines from Python is run as it stands, in process and on a platform."""

import importlib
import re
import sys
from pathlib import Path

import pytest

from wherry.pipelines import FailedRunError, component, find_run, pipeline, run

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "pipelines-sdk.md"


@component
def fails(n: int) -> int:
    raise ValueError(f"no {n}")


@pipeline
def failing(n: int = 3) -> int:
    return fails(n=n).output  # type: ignore[no-any-return]  # an output to come


@pytest.fixture
def blocks():
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def page(blocks, tmp_path, monkeypatch):
    """Return the first block as a module: components need a file with their source."""
    (tmp_path / "searched_page.py").write_text(blocks[0])
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("searched_page")
    del sys.modules["searched_page"]


def test_the_page_s_pipeline_runs_in_process(page):
    assert page.search(rows=20) == 1


def test_the_page_s_components_compile(blocks, tmp_path, monkeypatch):
    (tmp_path / "report.ipynb").write_text("{}")
    source = "\n".join(["from wherry.pipelines import *", *blocks[2:]])
    (tmp_path / "components_page.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    made = importlib.import_module("components_page")
    for each in (made.report, made.count):
        assert "artifacts" in pipeline(each).document()["root"]["inputDefinitions"]
    del sys.modules["components_page"]


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_the_page_s_pipeline_runs_on_a_platform(page, blocks, capsys):
    names = dict(vars(page))
    exec(compile(blocks[1], str(PAGE), "exec"), names)
    shown = capsys.readouterr().out
    assert "SUCCEEDED" in shown
    assert shown.endswith("\n1\n")
    started = names["started"]
    assert started.outputs == {"Output": 1}
    assert started.progress.ended
    assert "3/3 succeeded" in started.picture()
    assert any("component best" in line for line in started.logs("best"))
    assert find_run(started.name).manifest["spec"]["pipelineSpec"] == page.search.document()
    started.delete()


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_run_that_fails_says_why():
    # Longer than labels may be, by which its pods are found.
    started = run(failing, {"n": 4}, name=f"fails-{'x' * 64}")
    with pytest.raises(FailedRunError, match=r"exit code 1\): ValueError: no 4"):
        started.result(timeout=100)
    assert any("ValueError: no 4" in line for line in started.logs())
    started.delete()

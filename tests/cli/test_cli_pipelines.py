"""`wherry pipelines` with files: compile, lint, graph."""

from pathlib import Path

import pytest
import yaml

from wherry.cli import main

CODE = """
from greeting_words import WORD

from wherry.pipelines.sdk import component, pipeline


@component
def say(text: str) -> str:
    return text


@pipeline
def hello() -> str:
    return say(text=WORD).output
"""
SECOND = """

@pipeline(name="other-one")
def other():
    say(text="b")
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "greeting_words.py").write_text("WORD = 'hi'\n")
    path = tmp_path / "greeting.py"
    path.write_text(CODE)
    return path


def run(*words: str | Path) -> int:
    return main(["pipelines", *map(str, words)])


def test_a_file_of_python_is_compiled_checked_and_drawn(
    code: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled = tmp_path / "hello.yaml"
    assert run("compile", code, "-o", compiled) == 0
    assert yaml.safe_load(compiled.read_text())["pipelineInfo"]["name"] == "hello"
    assert run("compile", code) == 0
    assert capsys.readouterr().out == compiled.read_text()
    assert run("lint", compiled) == 0
    assert capsys.readouterr().out == f"{compiled}: ok\n"
    for each in (code, compiled):
        assert run("graph", each) == 0
        assert "<title>hello</title>" in capsys.readouterr().out
    assert run("graph", code, "-o", tmp_path / "hello.svg") == 0
    assert (tmp_path / "hello.svg").read_text().startswith("<svg")


def test_a_file_with_several_pipelines(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code.write_text(CODE + SECOND)
    for name in ("other", "other-one"):
        assert run("compile", code, "--pipeline", name) == 0
        assert "name: other-one" in capsys.readouterr().out
    assert run("compile", code) != 0
    told = "there is not one pipeline alone in it; there is hello, other"
    assert told in capsys.readouterr().err
    assert run("compile", code, "--pipeline", "third") != 0
    assert "there is no pipeline third in it" in capsys.readouterr().err


def test_a_file_that_cannot_be_run(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code.write_text("raise ValueError('broken')")
    assert run("compile", code) != 0
    assert "greeting.py: ValueError: broken" in capsys.readouterr().err


def test_what_is_wrong_fails_and_what_is_doubtful_does_not(
    code: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled = tmp_path / "hello.yaml"
    assert run("compile", code, "-o", compiled) == 0
    document = yaml.safe_load(compiled.read_text())
    document["deploymentSpec"]["executors"]["exec-say"]["container"]["image"] = "python"
    compiled.write_text(yaml.safe_dump(document))
    assert run("lint", compiled) == 0
    assert "warning: deploymentSpec.executors.exec-say.container.image" in capsys.readouterr().out
    document["root"]["dag"]["tasks"]["say"]["componentRef"]["name"] = "comp-sya"
    compiled.write_text(yaml.safe_dump(document))
    assert run("lint", compiled) == 1
    told = "error: root.dag.tasks.say.componentRef.name: there is no component 'comp-sya'; did you"
    assert told in capsys.readouterr().out


def test_files_of_all_kinds_are_checked_at_once(
    code: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bytes_, broken = tmp_path / "bytes.yaml", tmp_path / "broken.py"
    bytes_.write_bytes(b"a: \xff")
    broken.write_text("1 / 0")
    assert run("lint", bytes_, broken, code) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(" can't")[0] for line in said] == [
        f"{bytes_}: error: 'utf-8' codec",
        f"{broken}: error: ZeroDivisionError: division by zero",
        f"{code}: ok",
    ]

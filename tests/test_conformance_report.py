"""The conformance report: what a run writes, and the page that is made of it."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HARNESS = ROOT / "tests" / "conformance" / "conftest.py"

NAMES = [
    {"name": "passes"},
    {"name": "fails"},
    {"name": "known"},
    {"name": "twice"},
    {"name": "nobody wrote"},
    {"name": "needs a node", "notApplicable": "a second node"},
]
TESTS = """
import pytest
case = lambda name: pytest.mark.conformance("a-suite", group="some/group", name=name)

@case("passes")
def test_passes(): pass

@case("fails")
def test_fails(): raise AssertionError("two is not three")

@case("known")
@pytest.mark.xfail(strict=True, reason="not built")
def test_known(): assert False

@case("twice")
@pytest.mark.parametrize("good", [True, False])
def test_twice(good): assert good, "one of them"

@case("invented")
def test_invented(): pass

def test_without_a_name(): pass
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "a_suite" / "names" / "some").mkdir(parents=True)
    (tmp_path / "a_suite" / "names" / "some" / "group.json").write_text(json.dumps(NAMES))
    (tmp_path / "a_suite" / "test_it.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(HARNESS.read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    options = ["--conformance-report", str(folder / "docs" / "conformance"), *arguments]
    done = subprocess.run(
        command + options, cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_reports_every_name(suite: Path, workers: str):
    said = run(suite, "-n", workers)
    assert "some/group.json does not list 'invented'" in said
    rows = json.loads((suite / "docs" / "conformance" / "a-suite.json").read_text())
    assert {row["group"] for row in rows} == {"some/group"}
    assert [(row["name"], row["result"], row["reason"]) for row in rows] == [
        ("fails", "fail", "the test failed: AssertionError: two is not three"),
        ("known", "fail", "not built"),
        ("needs a node", "n/a", "a second node"),
        ("nobody wrote", "fail", "not ported"),
        ("passes", "pass", ""),
        ("twice", "fail", "the test failed: AssertionError: one of them"),
    ]


def render(docs: Path, *arguments: str) -> None:
    main = runpy.run_path(str(ROOT / "scripts" / "render_conformance.py"))["main"]
    main(["--docs", str(docs), *arguments])


def test_the_page_shows_shares_failures_and_reasons(tmp_path: Path):
    def row(name: str, group: str, result: str, reason: str = "") -> dict[str, str]:
        return {"name": name, "group": group, "result": result, "reason": reason}

    rows = [
        row("a", "one", "pass"),
        row("b", "one", "pass"),
        row("c [x]", "one", "fail", "a | b"),
        row("d", "two", "n/a", "no node"),
    ]
    (tmp_path / "conformance").mkdir()
    (tmp_path / "conformance" / "api.json").write_text(json.dumps(rows))
    with pytest.raises(SystemExit, match="stale"):
        render(tmp_path, "--check")
    render(tmp_path)
    render(tmp_path, "--check")
    text = (tmp_path / "conformance.md").read_text()
    assert "| one | 2 | 1 | 0 | 66.6 % |\n| two | 0 | 0 | 1 |  |\n" in text
    assert "| **all** | 2 | 1 | 1 | 66.6 % |" in text
    assert "| one | c \\[x\\] | a \\| b |" in text
    assert "| no node | two | d |" in text


def test_a_result_that_is_none_is_refused(tmp_path: Path):
    (tmp_path / "conformance").mkdir()
    wrong = [{"name": "a", "group": "g", "result": "perhaps", "reason": ""}]
    (tmp_path / "conformance" / "api.json").write_text(json.dumps(wrong))
    with pytest.raises(ValueError, match=r"api\.json: not a result: .*perhaps"):
        render(tmp_path)

"""Small on purpose: files, functions and signatures stay within bounds that a reader can hold.

Bounds are of the whole tree (median, 95th percentile) and of each single thing (a cap). What is over
a cap is listed here by name, with the reason; an entry that is no longer needed fails too.
"""

import ast
import functools
import math
import statistics
from pathlib import Path
from typing import NamedTuple

import pytest

# They read every file of the tree.
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "wherry"
FILE_LINES = {"median": 120, "p95": 400, "cap": 600}
FUNCTION_LINES = {"median": 8, "p95": 35, "cap": 60}
MOST_PARAMETERS = 7
NAMELESS = {"util", "utils", "helper", "helpers", "common", "misc"}

# Tests of the whole platform, which mirror no room.
WHOLE = {"clients", "conformance", "e2e", "seeds"}

EXCEPTIONS: dict[str, str] = {}
"""What may be over a cap: ``path`` or ``path:function``, and why it cannot be smaller."""


class Function(NamedTuple):
    """One function and its measures; a docstring is not counted, nor `self` and `cls`."""

    place: str
    lines: int
    parameters: int


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _functions(path: Path) -> list[Function]:
    nodes = ast.walk(_tree(path))
    found = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [_measure(path, node) for node in found]


def _measure(path: Path, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    first = node.body[0]
    assert node.end_lineno is not None
    assert first.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        lines -= first.end_lineno - first.lineno + 1
    given = node.args
    named = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    place = f"{path.relative_to(ROOT)}:{node.name}"
    return Function(place, lines, len([name for name in named if name not in {"self", "cls"}]))


def _p95(values: list[int]) -> int:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _over() -> dict[str, str]:
    """Everything over a cap: where it is, and by what."""
    found = {}
    for path in _files("src", "scripts", "tests", "benchmarks", "examples"):
        if (length := _length(path)) > FILE_LINES["cap"]:
            found[str(path.relative_to(ROOT))] = f"{length} lines"
    for function in (one for path in _files("src", "scripts") for one in _functions(path)):
        if function.lines > FUNCTION_LINES["cap"]:
            found[function.place] = f"{function.lines} lines"
        if function.parameters > MOST_PARAMETERS:
            found[function.place] = f"{function.parameters} parameters"
    return found


def test_nothing_is_over_a_cap_but_what_has_a_reason():
    over = _over()
    assert {place: why for place, why in over.items() if place not in EXCEPTIONS} == {}
    assert sorted(EXCEPTIONS.keys() - over.keys()) == [], "no longer over a cap: remove the entry"


@pytest.mark.parametrize("bounds", [FILE_LINES, FUNCTION_LINES], ids=["files", "functions"])
def test_most_are_small(bounds: dict[str, int]):
    paths = _files("src")
    if bounds is FILE_LINES:
        lengths = [_length(path) for path in paths]
    else:
        lengths = [function.lines for path in paths for function in _functions(path)]
    assert statistics.median(lengths) <= bounds["median"]
    assert _p95(lengths) <= bounds["p95"]


def test_every_module_has_a_noun_for_a_name_and_says_why_it_exists():
    parts = {path: set(path.relative_to(ROOT).with_suffix("").parts) for path in _files("src")}
    assert [path for path, names in parts.items() if names & NAMELESS] == []
    assert [path for path in parts if not ast.get_docstring(_tree(path))] == []


def test_no_import_hides_from_the_contracts():
    paths = _files("src")
    names = [(path, node) for path in paths for node in ast.walk(_tree(path))]
    hidden = [
        str(path.relative_to(ROOT))
        for path, node in names
        if (isinstance(node, ast.Name) and node.id == "TYPE_CHECKING")
        or (isinstance(node, ast.alias) and node.name == "TYPE_CHECKING")
    ]
    assert hidden == []


def test_tests_mirror_the_source():
    folders = {path.parent.relative_to(ROOT / "tests") for path in _files("tests")}
    # What a test runs in pods or in another Python is no part of the tree that is mirrored.
    folders = {folder for folder in folders if folder.name != "programs"}
    folders = {folder for folder in folders if folder.parts and folder.parts[0] not in WHOLE}
    assert [str(folder) for folder in folders if not (SOURCE / folder).is_dir()] == []
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert sorted(rooms - {folder.parts[0] for folder in folders} - {"testing"}) == []
    names = [path.name for path in _files("tests") if path.name.startswith("test_")]
    assert sorted({name for name in names if names.count(name) > 1}) == [], "names must be unique"


def test_a_long_function_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    body = "\n".join(f"    a = {number}" for number in range(70))
    sample = tmp_path / "src" / "sample.py"
    sample.parent.mkdir()
    sample.write_text(f'def long(a, b, c, d, e, f, g, h):\n    """Say.\n\n    More."""\n{body}\n')
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert _functions(sample) == [Function("src/sample.py:long", 71, 8)]
    assert _over() == {"src/sample.py:long": "8 parameters"}

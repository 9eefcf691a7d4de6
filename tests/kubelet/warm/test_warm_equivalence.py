"""Programs do the same warm as cold: output, files, status."""

import dataclasses
import pathlib
import re
import shlex
from typing import Any

import pytest

from wherry.kubelet.environments import interpreters
from wherry.kubelet.launcher import choice


def _read() -> dict[str, str]:
    text = pathlib.Path(__file__).with_name("programs.txt").read_text()
    parts = (part.partition("\n") for part in text.split("=== ")[1:])
    return {name: code.rstrip() + "\n" for name, _, code in parts}


_SMALL = _read()
_TELL = _SMALL.pop("tell")

_ALIKE = [
    ("tells-script", "python tell.py --lr 0.1 'a b'", {"tell.py": _TELL}),
    ("tells-in-folder", "python ./sub/tell.py", {"sub/tell.py": _TELL}),
    ("tells-dots", "python sub/../sub/tell.py", {"sub/tell.py": _TELL}),
    ("tells-module", "python3 -m package.tell one", {"package/__init__.py": "", "package/tell.py": _TELL}),
    ("tells-package", "python -m package", {"package/__init__.py": "", "package/__main__.py": _TELL}),
    ("tells-unbuffered", "python -u tell.py", {"tell.py": _TELL}),
    ("tells-optimised", "python -OO tell.py", {"tell.py": '"""Doc."""\nassert False\nprint(__doc__)\n' + _TELL}),
    ("tells-isolated", "python -I tell.py", {"tell.py": _TELL}),
    ("tells-without-site", "python -S tell.py", {"tell.py": _TELL.partition("import site")[0]}),
    ("tells-safe-path", "python -P -B -E -s -q tell.py", {"tell.py": _TELL}),
    ("tells-x", "python -X dev -X utf8=1 -Werror::ImportWarning tell.py", {"tell.py": _TELL}),
]  # fmt: skip


def _make(name: str, argv: str | list[str], files: dict[str, str], **more: Any) -> dict[str, Any]:
    if isinstance(argv, str):
        argv = shlex.split(argv)
    return {"name": name, "argv": tuple(argv), "files": files, **more}


def _programs() -> list[dict[str, Any]]:
    found = [_make(name, line, files) for name, line, files in _ALIKE]
    data = {"more.txt": "more", "neighbour.py": "VALUE = 5\n"}
    for name, text in _SMALL.items():
        files = {"program.py": text, **data}
        cold = "compiled" if name == "syntax-error" else ""
        found.append(_make(name, "python program.py", files, cold=cold))
    for name in (
        "command",
        "exit-7",
        "traceback",
        "names-at-the-end",
        "interrupt",
        "signal-term",
        "syntax-error",
        "thread-fails",
    ):
        cold = "compiled" if name == "syntax-error" else ""
        text = _SMALL[name]
        found += [
            _make(f"c-{name}", ["python", "-c", text, "-x", "y"], {}, cold=cold),
            _make(f"m-{name}", "python -m program", {"program.py": text}),
            _make(f"stdin-{name}", "python - -x y", {}, stdin=text.encode()),
        ]
    data = {"program.py": _SMALL["large-output"], "tell.py": _TELL}
    found += [
        _make("no-arguments", "python", {}, stdin=b"import sys; print(sys.argv, __name__, vars())\n"),
        _make("stdin-input", "python program.py", {"program.py": "print(input(), input())"}, stdin=b"a\nb\n"),
        _make("no-such-file", "python nowhere.py", {}, cold="nowhere"),
        _make("no-such-module", "python -m nowhere", {}),
        _make("module-of-library", "python -m json.tool", {}, stdin=b'{"a": 1}'),
        _make("folder", "python app", {"app/__main__.py": _TELL}, cold="plain file"),
        _make("no-frozen-shadow", "python program.py", {"program.py": "import stat; print(stat)", "stat.py": "1/0"}),
        _make("no-shadow", "python program.py", {"program.py": "import json", "json.py": "print('mine')"}),
        _make("path", "python tell.py", data | {"a/x.py": ""}, env={"PYTHONPATH": "a:/nowhere::a"}),
        _make("custom", "python tell.py", data | {"a/sitecustomize.py": "1/0"}, env={"PYTHONPATH": "a"}, cold="hides"),
        _make("zero-byte", "python program.py", {"program.py": "x = 1\0\n"}, cold="zero"),
        _make("latin", "python program.py", {"program.py": "# coding: latin-1\nprint('ok')"}),
        _make("unbuffered-env", "python tell.py", data, env={"PYTHONUNBUFFERED": "1"}),
        _make("hash-seed", ["python", "-c", "print(hash('a'))"], {}, env={"PYTHONHASHSEED": "7"}),
        _make("encoding-env", ["python", "-c", "print('ä')"], {}, env={"PYTHONIOENCODING": "latin-1:replace"}),
        _make("time-zone-env", ["python", "-c", "import time; print(time.ctime(0))"], {}, env={"TZ": "Asia/Tokyo"}),
        _make("faults", "python program.py", {"program.py": _SMALL["faulthandler"]}, env={"PYTHONFAULTHANDLER": "1"}),
        _make("own-variables", "python tell.py", data, env={"RANK": "1", "PATH_TO": "/x y", "EMPTY": ""}),
    ]  # fmt: skip
    return found


_PROGRAMS = _programs()

_MAY_BE_COLD = re.compile(
    "compiled|nowhere|plain file|hides|zero|depends on the interpreter's version"
)


@pytest.fixture(scope="module")
def outcomes(
    run_all: Any, bare_venv: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    found: dict[str, Any] = run_all(_PROGRAMS, bare_venv, tmp_path_factory.mktemp("alike"))
    return found


@pytest.mark.timeout(900)  # the first of them has all of them run
@pytest.mark.parametrize("program", _PROGRAMS, ids=lambda program: program["name"])
def test_warm_is_as_cold(outcomes: dict[str, Any], program: dict[str, Any]) -> None:
    cold, warm, state = outcomes[program["name"]]
    assert dataclasses.asdict(warm) == dataclasses.asdict(cold)
    reason = program.get("cold", "")
    assert bool(state.went_cold) == bool(reason), state.problem
    assert reason in state.problem


def _others() -> list[interpreters.Interpreter]:
    """One interpreter of every other version that starts warm."""
    own = interpreters.own().version[:2]
    found = {one.version[:2]: one for one in interpreters.installed()}
    return [found[version] for version in sorted(choice.VERSIONS & found.keys()) if version != own]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("other", _others(), ids=lambda other: other.text)
def test_warm_is_as_cold_in_other_versions(
    run_all: Any, stage_type: Any, tmp_path: pathlib.Path, other: interpreters.Interpreter
) -> None:
    venv = stage_type.make_venv(tmp_path, python=str(other.path))
    different: list[object] = []
    for name, (cold, warm, state) in run_all(_PROGRAMS, venv, tmp_path / "alike").items():
        if dataclasses.asdict(warm) != dataclasses.asdict(cold):
            different.append((name, cold, warm))
        elif state.went_cold and not _MAY_BE_COLD.search(state.problem):
            different.append((name, state.problem))
    assert different == []

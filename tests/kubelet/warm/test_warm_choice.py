"""Which command lines may start warm."""

import importlib.util
import pathlib
from typing import Any

import pytest

from wherry.kubelet.launcher import choice, command

_PROGRAMS = pathlib.Path("/env/bin")
_PATH = "/env/bin:/usr/bin"


def _choose(*argv: str, image: Any = None, **env: Any) -> Any:
    environment = {"PATH": _PATH, **env}
    return choice.choose(
        argv, environment=environment, image=image or {}, programs=_PROGRAMS, preload=("numpy",)
    )


@pytest.mark.parametrize(
    ("line", "flags", "kind", "target", "arguments"),
    [
        ("train.py --lr 1 -c x", "", "script", "train.py", "--lr 1 -c x"),
        ("-u -OO -m pkg.mod -v", "-u -O -O", "module", "pkg.mod", "-v"),
        ("-uc code a", "-u", "command", "code", "a"),
        ("-ccode a", "", "command", "code", "a"),
        ("-W error -Wignore -Xdev s.py", "-W error -W ignore -X dev", "script", "s.py", ""),
        ("-", "", "stdin", "-", ""),
        ("- a b", "", "stdin", "-", "a b"),
        ("-I -- s.py -u", "-I", "script", "s.py", "-u"),
        ("", "", "stdin", "", ""),
    ],
)
def test_command_lines_are_read_as_python_does(
    line: str, flags: str, kind: str, target: str, arguments: str
) -> None:
    expected = command.Command(tuple(flags.split()), kind, target, tuple(arguments.split()))  # type: ignore[arg-type]  # from the table
    assert command.parse(line.split()) == expected


@pytest.mark.parametrize(
    "line",
    [
        "-i s.py",
        "-V",
        "--version",
        "-v s.py",
        "-x s.py",
        "-X importtime s.py",
        "-c",
        "-W",
        "-uz s.py",
    ],
)
def test_what_only_a_cold_start_can_do(line: str) -> None:
    assert command.parse(line.split()) is None


def test_only_the_images_own_interpreter_is_warmed() -> None:
    assert _choose("python", "a.py").program == "/env/bin/python"
    assert _choose("/env/bin/python3.11", "a.py").program == "/env/bin/python3.11"
    assert _choose("python", "a.py", PATH="/other:/env/bin") is None
    assert _choose("/usr/bin/python3", "a.py") is None
    assert _choose("pip", "list") is None
    assert _choose("sh", "-c", "python a.py") is None


def test_variables_that_count_at_the_start_make_another_process() -> None:
    found = _choose(
        "python",
        "a.py",
        image={"FLAVOUR": "x"},
        FLAVOUR="y",
        OMP_NUM_THREADS="2",
        PYTHONHASHSEED="1",
        PYTHONPATH="/a",
        CUDA_VISIBLE_DEVICES="0",
        RANK="3",
    )
    assert found.environment == {"FLAVOUR": "y", "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "1"}
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONINSPECT", "PYTHONHOME", "PYTHONNEWTHING"):
        assert _choose("python", "a.py", **{name: "1"}) is None


def test_pods_may_ask_for_what_only_defines() -> None:
    said = {choice.PRELOAD: "json, argparse,antigravity,mine,,json"}
    assert choice.asked(said) == ("argparse", "json")
    assert choice.asked({}) == ()
    assert all(importlib.util.find_spec(name) for name in choice.OFFERED)


def test_only_known_versions_are_warmed() -> None:
    assert [choice.supports(text) for text in ("3.10.4", "3.11", "3.11.7", "4.0.1")] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("name", "value", "warm"),
    [
        ("OPENSSL_CONF", "/pod/openssl.cnf", False),
        ("OMP_TOOL_LIBRARIES", "./tool.so", False),
        ("TZ", ":/pod/zone", False),
        ("TZ", "Asia/Tokyo", True),
        ("OMP_NUM_THREADS", "4", True),
        ("DATA", "/pod/data", True),
    ],
)
def test_files_of_the_pods_own_choice_are_not_loaded_outside_it(
    name: str, value: str, warm: bool
) -> None:
    assert (_choose("python", "s.py", **{name: value}) is not None) is warm
    assert _choose("python", "s.py", image={name: value}, **{name: value}) is not None

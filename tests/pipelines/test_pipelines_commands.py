"""Commands of Python components in the forms of all SDKs of version 2, and others, which stay as they are."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wherry.pipelines import commands
from wherry.pipelines.commands import Launch

_ENSURE = """
if ! [ -x "$(command -v pip)" ]; then
    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip
fi

PIP_DISABLE_PIP_VERSION_CHECK=1 """
_REST = ' && "$0" "$@"\n'
_PIP = "python3 -m pip install --quiet --no-warn-script-location "
_KFP = "'kfp==2.17.0' '--no-deps' 'typing-extensions>=3.7.4,<5; python_version<\"3.9\"'"
_VENV = """
export PIP_DISABLE_PIP_VERSION_CHECK=1
tmp=$(mktemp -d)
python3 -m venv "$tmp/venv" --system-site-packages
. "$tmp/venv/bin/activate"
"""
_GAP = " " * 24  # of a line that went on in the SDK's source
_WRITE = 'printf "%s" "$0" > "$program_path/ephemeral_component.py"\n'
_PATH = f'--component_module_path {_GAP}"$program_path/ephemeral_component.py" {_GAP}"$@"\n'
_RUN = f"program_path=$(mktemp -d)\n\n{_WRITE}_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main {_GAP}{_PATH}"
_RUN_2_0 = (
    f"program_path=$(mktemp -d)\n{_WRITE}python3 -m kfp.components.executor_main {_GAP}{_PATH}"
)
_SOURCE = "\nimport kfp\n\ndef f():\n    pass\n"
_ARGS = ["--executor_input", "{{$}}", "--function_to_execute", "f"]
_LAYER = ["sh", "-ec", _RUN, _SOURCE]


def _installing(pip: str) -> list[str]:
    return ["sh", "-c", _ENSURE + pip + _REST]


def _direct(*requirements: str, options: tuple[str, ...] = ()) -> Launch:
    return Launch(
        requirements=requirements, index_options=options, source=_SOURCE, arguments=tuple(_ARGS)
    )


_INDEX = "--index-url https://a.example/simple --extra-index-url https://b.example --trusted-host a.example "


@pytest.mark.parametrize(
    ("command", "launch"),
    [
        (_installing(_PIP + _KFP) + _LAYER, _direct()),
        (
            _installing(f"{_PIP}'numpy>=2' 'pandas'  &&  {_PIP}{_KFP}") + _LAYER,
            _direct("numpy>=2", "pandas"),
        ),
        (
            _installing(f"{_PIP}{_KFP}  &&  {_PIP}'numpy; python_version<\"3.12\"'") + _LAYER,
            _direct('numpy; python_version<"3.12"'),
        ),
        (
            _installing(f"{_PIP}{_INDEX}'numpy'  &&  {_VENV} {_PIP}{_INDEX}{_KFP}") + _LAYER,
            _direct("numpy", options=tuple(_INDEX.split())),
        ),
        (
            _installing(
                "python3 -m pip install --quiet     --no-warn-script-location 'x' 'kfp==2.1.3'"
                " '--no-deps' 'typing-extensions>=3.7.4,<5; python_version<\"3.9\"'"
            )
            + _LAYER,
            _direct("x"),
        ),
        (
            [*_installing(_PIP + "'x' 'kfp==2.0.1'"), "sh", "-ec", _RUN_2_0, _SOURCE],
            _direct("x"),
        ),
        (_LAYER, _direct()),
    ],
)
def test_known_forms_start_directly(command, launch):
    assert commands.recognise(command, _ARGS) == launch
    assert launch.command("python") == [
        *("python", "-m", "wherry_step", "--component_source", _SOURCE),
        *_ARGS,
    ]


@pytest.mark.parametrize(
    "own",
    [
        "kfp==2.16.0",
        "kfp[all]",
        "kfp-kubernetes",
        "kfp @ file:///x",
        "git+https://github.com/kubeflow/pipelines@refs/pull/1/merge#subdirectory=sdk/python",
    ],
)
def test_a_kfp_of_the_users_own_is_started_as_it_wants(own):
    command = _installing(f"{_PIP}'numpy' '{own}'") + _LAYER
    launch = commands.recognise(command, _ARGS)
    assert launch is not None
    assert (launch.requirements, launch.own_kfp) == (("numpy", own), True)
    assert launch.command() == _LAYER + _ARGS


def test_a_component_in_an_image_and_one_of_version_1():
    command = ["python3", "-m", "kfp.dsl.executor_main"]
    launch = commands.recognise(command, _ARGS)
    assert launch is not None
    assert (launch.own_kfp, launch.requirements) == (True, ())
    assert launch.command() == command + _ARGS
    pip = "python3 -m pip install --quiet --no-warn-script-location 'xgboost==1.1.1'"
    variable = "PIP_DISABLE_PIP_VERSION_CHECK=1"
    old = f'({variable} {pip} || {variable} {pip} --user) && "$0" "$@"'
    rest = ["python3", "-u", "-c", "print(1)", "--data", "x"]
    launch = commands.recognise(["sh", "-c", old, *rest[:4]], rest[4:])
    assert launch is not None
    assert (launch.requirements, launch.own_kfp) == (("xgboost==1.1.1",), False)
    assert launch.command() == rest


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["python3", "-m"],
        ["sh", "-c"],
        ["sh", "-c", "echo 1", "x", "y"],
        ["sh", "-ec", _RUN + "rm -rf x\n", _SOURCE],
        ["python3", "-m", "other.executor_main"],
        _installing("python3 -m pip download 'x'") + _LAYER,
        _installing(f"{_PIP}'x' ; echo 1") + _LAYER,
        _installing(f"{_PIP}'x' || true") + _LAYER,
        _installing(f"{_PIP}x$(id)") + _LAYER,
        _installing(f'{_PIP}"x$HOME"') + _LAYER,
        _installing(f"{_PIP}'x") + _LAYER,
        _installing(f"{_PIP}'-r' 'requirements.txt'") + _LAYER,
        _installing(f"{_PIP}--index-url https://${{TOKEN}}@a.example 'x'") + _LAYER,
        ["sh", "-c", _ENSURE + _PIP + "'x' && echo" + _REST, *_LAYER],
    ],
)
def test_other_forms_are_left_alone(command):
    assert commands.recognise(command, []) is None


def test_what_is_recognised_does_what_the_shell_would(tmp_path):
    """The shell layers with a pip and an executor that tell what they are given, against ours."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "python3").write_text('#!/bin/sh\nprintf "%s\\n" "$@" >> "$LOG"\n')
    (tools / "pip").write_text("#!/bin/sh\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    words = [*_installing(f"{_PIP}'numpy>=2' 'a b'  &&  {_PIP}{_KFP}"), *_LAYER, *_ARGS]
    log = tmp_path / "log"
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "LOG": str(log), "TMPDIR": str(tmp_path)}
    subprocess.run(words, env=environment, check=True, cwd=tmp_path)
    told = log.read_text().splitlines()
    launch = commands.recognise(words, [])
    assert launch is not None
    install = ["-m", "pip", "install", "--quiet", "--no-warn-script-location"]
    assert told[: len(install) + 2] == [*install, *launch.requirements]
    assert told[-4:] == list(launch.arguments)
    (written,) = tmp_path.glob("*/ephemeral_component.py")
    assert written.read_text() == launch.source
    assert launch.command(sys.executable)[0] == sys.executable


_FAKE = """import json, os, sys
with open(os.environ["LOG"], "a") as log:
    log.write(json.dumps(sys.argv[1:]) + chr(10))
"""


@pytest.mark.parametrize("packages", [(), ("numpy>=2", "a b"), ("kfp==2.16.0",)])
def test_our_own_form_does_what_it_is_recognised_as(tmp_path, packages):
    """With a pip and an executor that tell what they are given."""
    for name in ("pip", "kfp/dsl"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "pip" / "__main__.py").write_text(_FAKE)
    (tmp_path / "kfp" / "dsl" / "executor_main.py").write_text(_FAKE)
    options = ("--index-url", "https://a.example/simple")
    words = [*commands.written(packages, options, _SOURCE), *_ARGS]
    log = tmp_path / "log"
    environment = {"PYTHONPATH": str(tmp_path), "LOG": str(log), "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, *words[1:]], env=environment, check=True)
    *installed, ran = [json.loads(line) for line in log.read_text().splitlines()]
    launch = commands.recognise(words, [])
    assert launch is not None
    assert (launch.requirements, launch.index_options) == (packages, options)
    pip = ["install", "--quiet", *options]
    own = [[*pip, "--no-deps", commands.KFP]]
    assert installed == [[*pip, *packages]] * bool(packages) + own * (not launch.own_kfp)
    assert ran[0] == "--component_module_path"
    assert Path(ran[1]).read_text() == _SOURCE
    assert ran[2:] == _ARGS
    assert launch.own_kfp == ("kfp==2.16.0" in packages)
    if launch.own_kfp:
        log.unlink()
        again = launch.command()
        subprocess.run([sys.executable, *again[1:]], env=environment, check=True)
        (ran,) = [json.loads(line) for line in log.read_text().splitlines()]
        assert ran[2:] == _ARGS, "nothing is installed: the packages are there"
    else:
        assert launch == _direct(*packages, options=options)


@pytest.mark.parametrize("rest", [[], ["no json"], ["{}", "x"], ['{"packages": 1}', "x"]])
def test_our_own_form_in_pieces_is_left_alone(rest):
    start = commands.written((), (), _SOURCE)[:3]
    assert commands.recognise([*start, *rest], []) is None

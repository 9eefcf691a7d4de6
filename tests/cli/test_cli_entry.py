import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wherry.cli import arguments
from wherry.cli.failures import USAGE
from wherry.cli.verbs import up
from wherry.embedded import process as embedded

Run = Callable[..., Any]

_HEAVY = "{name for name in sys.modules if name.split('.')[0] in ('aiohttp','yaml','asyncio','cryptography')}"


def test_help_loads_nothing_heavy() -> None:
    code = f"import sys, wherry.cli; wherry.cli.main(['--help']); print({_HEAVY}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"
    assert "why" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], "invalid choice: 'frobnicate'"),
        (["up", "--port", "70000"], "'70000' is no port; want 1 to 65535"),
        (["up", "--cpu-overcommit", "much"], "'much': want a number"),
        (["up", "--pod-pids-limit", "0"], "'0': want a number of processes, 1 to 4194304"),
        (["apply"], "required: -f/--filename"),
        (["kubeconfig", "--merge", "--path", "x"], "not allowed with argument"),
        (["get"], "which objects?"),
        (["delete"], "name objects"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(typed: Run, words: list[str], said: str) -> None:
    outcome = typed(*words)
    assert outcome.code == USAGE
    assert outcome.err.startswith("wherry: ")
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_every_verb_has_help(typed: Run) -> None:
    for verb in ("up", "down", "status", "kubeconfig", "apply", "get", "delete", "logs", "why"):
        assert typed(verb, "--help").code == 0


def test_no_verb_prints_help(typed: Run) -> None:
    outcome = typed()
    assert outcome.code == 0
    assert "usage: wherry" in outcome.out


def test_version(typed: Run) -> None:
    assert typed("version").out == typed("--version").out
    assert typed("version").out.startswith("wherry 0.")


def test_nobody_answers(typed: Run, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "{clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}],"
        " contexts: [{name: a, context: {cluster: a}}], current-context: a}"
    )
    outcome = typed("get", "pods", "--kubeconfig", str(config))
    assert outcome.code == 1
    assert "nobody answers at http://127.0.0.1:1" in outcome.err
    assert "Traceback" not in outcome.err


def test_no_kubeconfig_says_how_to_start(typed: Run) -> None:
    outcome = typed("get", "pods")
    assert outcome.code == 1
    assert "wherry up" in outcome.err


def test_a_reader_that_goes_away_is_quiet() -> None:
    command = (
        f"{sys.executable} -m wherry.cli --help | true; {sys.executable} -m wherry.cli version >&-"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_parsing_keeps_the_defaults_of_each_verb() -> None:
    options = arguments.parse(["delete", "pod", "a", "--no-wait"])
    assert (options.verb, options.objects, options.wait) == ("delete", ["pod", "a"], False)
    assert arguments.parse(["get", "pods", "-A"]).all_namespaces is True


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--port", "7000"], "port", 7000),
        (["--no-isolation"], "isolation", False),
        (["--no-warm-start"], "warm_start", False),
        (["--cpu-overcommit", "0"], "cpu_overcommit", 0),
        (["--pod-pids-limit", "20"], "pod_pids_limit", 20),
        (["--memory-rlimit"], "memory_rlimit", True),
        (["--image-runtime", "oci"], "image_runtime", "oci"),
        (["--image-engine", "podman"], "image_engine", "podman"),
        (["--insecure-registry", "a:1"], "insecure_registry", ["a:1"]),
        (["--components", "none"], "components", ()),
        (["--audit-log", "a"], "audit_log", Path("a").absolute()),
        (["--audit-policy", "a"], "audit_policy", Path("a").absolute()),
        (["--verbose"], "verbose", True),
    ],
)
def test_what_up_is_told_reaches_the_platform(words: list[str], name: str, value: object) -> None:
    passed = up.platform_arguments(arguments.parse(["up", *words]))
    told, default = (vars(embedded.parser().parse_args(given)) for given in (passed, []))
    assert told == {**default, name: value} != default

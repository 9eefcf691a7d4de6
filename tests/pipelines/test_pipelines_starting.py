"""What a run is told to do when it is started stands in its object: from the command line and from Python."""

import secrets

import pytest

from wherry.cli import main
from wherry.pipelines import CompileError, component, kinds, pipeline, run


@component
def say(text: str) -> str:
    return text


@pipeline
def told(text: str = "hi") -> str:
    return say(text=text).output  # type: ignore[no-any-return]  # an output to come


@component
def waits() -> None:
    import time  # noqa: PLC0415 - a step has what it imports

    time.sleep(600)


@pipeline
def long() -> None:
    waits()


WANTED = {
    "enableCache": True,
    "cacheExpirySeconds": 3600,
    "displayName": "An hour",
    "serviceAccountName": "somebody",
    "timeoutSeconds": 120,
    "runtimeConfig": {"parameters": {"text": "there"}, "pipelineRoot": "s3://bucket/folder"},
}


@pytest.fixture
def name():
    return f"told-{secrets.token_hex(4)}"


def spec(platform, name):
    found = platform.call(platform.client.get(kinds.PIPELINE_RUNS, name, "default"))["spec"]
    return {key: found.get(key) for key in WANTED}


@pytest.mark.usefixtures("here")
def test_settings_from_python(shared_platform, name):
    run(
        told,
        {"text": "there"},
        name=name,
        cache=True,
        cache_expiry_seconds=3600,
        root="s3://bucket/folder",
        display_name="An hour",
        service_account="somebody",
        timeout_seconds=120,
    )
    assert spec(shared_platform, name) == WANTED
    with pytest.raises(CompileError, match="cache_expiry: no such setting; there is"):
        run(told, cache_expiry=1)  # type: ignore[call-arg]  # which is the point


def test_settings_from_the_command_line(shared_platform, name, tmp_path, capsys):
    compiled = tmp_path / "told.yaml"
    told.compile(compiled)
    words = ["--name", name, "--cache", "--cache-expiry", "3600", "--root", "s3://bucket/folder"]
    words += ["--display-name", "An hour", "--service-account", "somebody", "--timeout", "120"]
    words += ["--kubeconfig", str(shared_platform.kubeconfig), "--detach", "-p", "text=there"]
    assert main(["pipelines", "run", str(compiled), *words]) == 0
    assert spec(shared_platform, name) == WANTED
    capsys.readouterr()
    assert main(["pipelines", "run", str(compiled), "--cache-expiry", "soon"]) != 0
    assert "--cache-expiry: 'soon': want a whole number from 0" in capsys.readouterr().err


def test_runs_are_listed_and_ended_from_the_command_line(shared_platform, name, tmp_path, capsys):
    where = ["--kubeconfig", str(shared_platform.kubeconfig)]
    compiled = tmp_path / "long.yaml"
    long.compile(compiled)
    assert main(["pipelines", "run", str(compiled), "--name", name, "--detach", *where]) == 0
    capsys.readouterr()
    assert main(["pipelines", "list", *where]) == 0
    headings, *listed = [line.split() for line in capsys.readouterr().out.splitlines()]
    # Not the first of all: another test's may have been made in the same second.
    assert headings[0] == "NAME"
    assert name in [line[0] for line in listed[:5]]
    assert main(["pipelines", "list", "--all-namespaces", *where]) == 0
    listed = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert listed[0] == ["NAMESPACE", "NAME"]
    assert ["default", name] in listed
    assert main(["pipelines", "stop", name, *where]) == 0
    assert f"run {name}: CANCELED" in capsys.readouterr().out
    assert main(["pipelines", "stop", "nope", *where]) != 0

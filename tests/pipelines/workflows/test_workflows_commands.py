"""`wherry workflows` against a platform with real pods."""

import asyncio
import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from wherry.cli import main
from wherry.client.transports.http import HttpTransport
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually

SECONDS = 120
SPEC = {
    "entrypoint": "main",
    "arguments": {"parameters": [{"name": "who", "value": "Ann"}]},
    "templates": [
        {"name": "main", "steps": [[{"name": "greet", "template": "say"}]]},
        {
            "name": "say",
            "container": {
                "image": "python:3.11",
                "command": ["sh", "-c", "echo hello {{workflow.parameters.who}}"],
            },
        },
        {"name": "fail", "container": {"image": "python:3.11", "command": ["sh", "-c", "exit 3"]}},
        {"name": "ask", "steps": [[{"name": "approve", "template": "wait"}]]},
        {"name": "wait", "suspend": {}},
    ],
}

Typed = Callable[..., tuple[int, str, str]]


def asks(typed: Typed, name: str) -> bool:
    """Tell whether a workflow waits for somebody."""
    return "ǁ" in typed("get", name)[1]


@pytest.fixture
def on(shared_platform: InProcessPlatform) -> InProcessPlatform:
    return shared_platform


@pytest.fixture
def namespace(on: InProcessPlatform) -> str:
    body = {"metadata": {"generateName": "commands-"}}
    return metadata.name(on.call(on.client.create(core.NAMESPACES, body)))


@pytest.fixture
def typed(on: InProcessPlatform, namespace: str, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Return a function that types a command and returns its exit code and what it printed."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        place = ("--kubeconfig", str(on.kubeconfig), "-n", namespace)
        code = main(["workflows", *words, *(() if words[0] == "lint" else place)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "hello.yaml"
    path.write_text(yaml.safe_dump(made("Workflow", generateName="hello-", spec=SPEC)))
    return str(path)


def made(kind: str, spec: Object, **head: str) -> Object:
    return {"apiVersion": kinds.API_VERSION, "kind": kind, "metadata": head, "spec": spec}


def named(typed: Typed, *words: str) -> str:
    """Submit; return the workflow's name."""
    code, out, err = typed("submit", *words, "-o", "name")
    assert code == 0, err
    return out.splitlines()[0].partition("/")[2]


def test_a_workflow_from_its_file_to_its_end(typed: Typed, file: str) -> None:
    code, out, err = typed("submit", file, "-p", "who=Bob", "--wait")
    assert code == 0, err
    name = out.split()[0]
    assert out == f"{name} Succeeded\n"
    code, out, _ = typed("get", name)
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert f"Name: {name}" in lines
    assert "who: Bob" in lines
    assert "Progress: 1/1" in lines
    assert any("greet say" in line and name in line for line in lines)
    pod = next(line for line in out.splitlines() if "greet" in line).split()[3]
    assert typed("logs", "@latest")[1] == f"{pod}: hello Bob\n"
    assert typed("list", "--status", "Succeeded", "-o", "name")[1].count("/") == 1
    assert name in typed("list")[1]
    code, out, err = typed("resubmit", name, "-p", "who=Cid", "--log")
    assert code == 0, err
    assert out.endswith(": hello Cid\n")
    assert typed("delete", name)[1] == f"workflow {name} deleted\n"

    def kept() -> bool:
        code, out, err = typed("get", name)
        return code == 0 and "is gone" in err and "greet" in out

    eventually(kept, SECONDS, what="what was kept of it")
    assert typed("logs", name)[1] == f"{pod}: hello Bob\n"


def test_one_that_fails_is_retried(typed: Typed, file: str) -> None:
    name = named(typed, file, "--entrypoint", "fail")
    code, out, _ = typed("wait", name)
    assert code == 1
    assert out.startswith(f"{name} Failed: ")
    code, out, err = typed("retry", name, "--watch")
    assert code == 1, err
    assert "✖" in out
    assert typed("retry", "nothing")[0] == 1
    code, _, err = typed("suspend", name)
    assert (code, err) == (1, "wherry: cannot suspend a workflow that has completed\n")


def test_one_that_asks(typed: Typed, file: str, on: InProcessPlatform, namespace: str) -> None:
    template = made("WorkflowTemplate", name="asking", namespace=namespace, spec=SPEC)
    on.call(on.client.create(kinds.WORKFLOW_TEMPLATES, template))
    ways = (["--from", "workflowtemplate/asking"], [file])
    names = [named(typed, *how, "--entrypoint", "ask") for how in ways]
    for name in names:
        eventually(functools.partial(asks, typed, name), SECONDS, what="it asks")
    typed("suspend", names[0])
    assert "Running (Suspended)" in typed("get", names[0])[1]
    assert typed("resume", names[0])[1] == f"workflow {names[0]} resumed\n"
    assert typed("wait", names[0])[0] == 0
    assert typed("terminate", names[1])[0] == 0
    assert typed("wait", names[1])[0] == 1
    assert typed("template", "list")[1].split()[2] == "asking"
    assert typed("delete", "--completed")[1].count("deleted") == 2


def test_schedules_are_held(typed: Typed, on: InProcessPlatform, namespace: str) -> None:
    spec = {"schedules": ["0 0 1 1 *"], "workflowSpec": SPEC}
    body = made("CronWorkflow", name="yearly", namespace=namespace, spec=spec)
    on.call(on.client.create(kinds.CRON_WORKFLOWS, body))
    assert typed("cron", "suspend", "yearly")[0] == 0
    assert "true" in typed("cron", "list")[1]
    assert typed("cron", "resume", "yearly")[0] == 0
    assert "<never>" in typed("cron", "list")[1]
    name = named(typed, "--from", "cronwf/yearly", "--entrypoint", "wait")
    assert name.startswith("yearly-")
    assert json.loads(typed("get", name, "-o", "json")[1])["spec"]["entrypoint"] == "wait"
    typed("delete", name)


def test_files_that_are_wrong(typed: Typed, tmp_path: Path, file: str) -> None:
    assert typed("lint", file) == (0, f"{file}, document 1: ok\n", "")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(made("Workflow", name="x", spec={"entrypoint": "no"})))
    code, out, _ = typed("lint", file, str(wrong))
    assert code == 1
    assert f"{wrong}, document 1: error: spec" in out
    assert typed("submit", str(wrong))[0] == 1
    wrong.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}))
    assert "kind Pod: want a Workflow" in typed("submit", str(wrong))[2]
    assert typed("submit")[0] == 2
    assert typed("submit", "--from", "pod/x")[0] == 1
    assert typed("submit", file, "-p", "who")[0] == 1
    assert typed("delete")[0] == 2


def test_the_engine_of_a_workflow(on: InProcessPlatform, namespace: str) -> None:
    """What is Argo's is left alone, and kept when it has ended; here the test is Argo."""
    body = made("Workflow", name="theirs", namespace=namespace, spec=SPEC)
    body["metadata"]["annotations"] = {"wherry.dev/engine": "neither"}
    with pytest.raises(errors.InvalidError, match="'neither': want wherry or argo"):
        on.call(on.client.create(kinds.WORKFLOWS, body))
    body["metadata"]["annotations"] = {"wherry.dev/engine": "argo"}
    theirs = on.call(on.client.create(kinds.WORKFLOWS, body))
    change = {"metadata": {"annotations": {"wherry.dev/engine": "wherry"}}}
    with pytest.raises(errors.InvalidError, match="may not be changed"):
        on.call(on.client.patch(kinds.WORKFLOWS, "theirs", change, namespace))
    body["metadata"] = {"name": "ours", "namespace": namespace}
    ours = on.call(on.client.create(kinds.WORKFLOWS, body))

    def phase(name: str) -> str:
        found = on.call(on.client.get(kinds.WORKFLOWS, name, namespace))
        return str((found.get("status") or {}).get("phase") or "")

    # Both were seen: the one that is run here has ended, the other was not touched.
    eventually(lambda: phase(metadata.name(ours)) == "Succeeded", SECONDS, what="the end of ours")
    found = on.call(on.client.get(kinds.WORKFLOWS, "theirs", namespace))
    assert found["metadata"]["resourceVersion"] == theirs["metadata"]["resourceVersion"]
    status = {"phase": "Succeeded", "startedAt": "2026-01-02T03:04:05Z", "message": "done by Argo"}
    on.call(on.client.update(kinds.WORKFLOWS, {**found, "status": status}))

    def kept() -> bool:
        return bool(archived(on, metadata.uid(theirs)))

    eventually(kept, SECONDS, what="it is kept")

    def let_go() -> Object:
        found = on.call(on.client.get(kinds.WORKFLOWS, "theirs", namespace))
        return {} if "finalizers" in found["metadata"] else found

    after = eventually(let_go, SECONDS, what="it is let go")
    assert after["status"] == status


def archived(on: InProcessPlatform, uid: str) -> Object:
    """Return what is kept of a workflow, as Argo's server tells it."""
    server = "/api/v1/namespaces/argo/services/argo-server:web/proxy"
    path = f"{server}/api/v1/archived-workflows/{uid}"

    async def read() -> Object:
        transport = HttpTransport(on.connection)
        try:
            return dict(await transport.read(path))
        except errors.NotFoundError:
            return {}
        finally:
            await transport.close()

    return asyncio.run(read())

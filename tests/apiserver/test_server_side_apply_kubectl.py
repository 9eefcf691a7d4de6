"""Server-side apply through stock kubectls: conflicts, force, diff, and the way over from client-side."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: %d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "nginx:%s"}]}
"""


def clients() -> list[str | None]:
    found = [
        str(Path(sys.executable).with_name("kubectl")),
        shutil.which("kubectl", path="/usr/bin"),
    ]
    return [each for each in found if each and Path(each).exists()] or [None]


@pytest.fixture(params=clients(), ids=lambda path: str(path).replace("/", "_"))
def kubectl(request: Any, run_kubectl: Any) -> Any:
    if request.param is None:
        pytest.skip("there is no kubectl on this machine")

    async def run(*arguments: Any, text: Any = "", code: int = 0) -> Any:
        got, out, err = await run_kubectl(request.param, *arguments, text=text)
        assert got == code, out + err
        return out + err

    return run


async def managers(kubectl: Any, *what: str) -> dict[tuple[str, str], Any]:
    out = await kubectl("get", *what, "-o", "json", "--show-managed-fields")
    found = json.loads(out)["metadata"].get("managedFields", ())
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in found}


async def test_apply_conflict_and_force(kubectl: Any) -> None:
    said = await kubectl("apply", "--server-side", "-f", "-", text=DEPLOYMENT % (2, "1"))
    assert "deployment.apps/web serverside-applied" in said
    await kubectl("scale", "deployment/web", "--replicas=3")
    said = await kubectl("apply", "--server-side", "-f", "-", text=DEPLOYMENT % (2, "1"), code=1)
    assert "Apply failed with 1 conflict: conflict with" in said
    assert '"kubectl" with subresource "scale" using apps/v1: .spec.replicas' in said
    assert "--force-conflicts" in said
    await kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", text=DEPLOYMENT % (2, "1")
    )
    out = await kubectl("get", "deployment/web", "-o", "jsonpath={.spec.replicas}")
    assert out == "2"
    said = await kubectl(
        "apply", "--server-side", "--field-manager=other", "-f", "-",
        text=DEPLOYMENT % (2, "2"), code=1,
    )  # fmt: skip
    assert 'conflict with "kubectl": .spec.template.spec.containers[name="c"].image' in said


async def test_managed_fields_are_hidden_until_asked_for(kubectl: Any) -> None:
    await kubectl("apply", "--server-side", "-f", "-", text=DEPLOYMENT % (2, "1"))
    assert "managedFields" not in await kubectl("get", "deployment/web", "-o", "yaml")
    shown = await kubectl("get", "deployment/web", "-o", "yaml", "--show-managed-fields")
    assert "managedFields" in shown
    assert 'k:{"name":"c"}' in shown
    assert "web" in await kubectl("get", "deployments")


async def test_diff_of_what_would_be_applied(kubectl: Any) -> None:
    await kubectl("apply", "--server-side", "-f", "-", text=DEPLOYMENT % (2, "1"))
    same = await kubectl("diff", "--server-side", "-f", "-", text=DEPLOYMENT % (2, "1"))
    assert same == ""
    other = await kubectl("diff", "--server-side", "-f", "-", text=DEPLOYMENT % (4, "1"), code=1)
    assert "-  replicas: 2" in other
    assert "+  replicas: 4" in other


async def test_from_client_side_to_server_side(kubectl: Any) -> None:
    await kubectl("apply", "-f", "-", text=DEPLOYMENT % (2, "1"))
    before = await managers(kubectl, "deployment/web")
    assert set(before) == {("kubectl-client-side-apply", "Update")}
    await kubectl("apply", "--server-side", "-f", "-", text=DEPLOYMENT % (5, "2"))
    after = await managers(kubectl, "deployment/web")
    assert ("kubectl", "Apply") in after
    assert "f:replicas" in after["kubectl", "Apply"]["f:spec"]
    assert ("kubectl-client-side-apply", "Update") not in after
    # What is taken out of the file goes, though client-side apply had put it there.
    text = (DEPLOYMENT % (5, "2")).replace("  replicas: 5\n", "")
    await kubectl("apply", "--server-side", "-f", "-", text=text)
    out = await kubectl("get", "deployment/web", "-o", "jsonpath={.spec.replicas}")
    assert out == "1"


async def test_every_verb_leaves_its_name(kubectl: Any) -> None:
    await kubectl("create", "configmap", "c", "--from-literal=a=b")
    await kubectl("label", "configmap/c", "x=y")
    found = await managers(kubectl, "configmap/c")
    assert found["kubectl-create", "Update"] == {"f:data": {".": {}, "f:a": {}}}
    assert found["kubectl-label", "Update"] == {"f:metadata": {"f:labels": {".": {}, "f:x": {}}}}


async def test_a_misspelt_field_is_refused(kubectl: Any) -> None:
    text = (DEPLOYMENT % (2, "1")).replace("replicas", "replica")
    said = await kubectl("apply", "--server-side", "-f", "-", text=text, code=1)
    assert ".spec.replica: field not declared in schema" in said

"""Stock kubectl, of this year and of two years ago, against a real server."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns:
    - {name: Color, type: string, jsonPath: .spec.color}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              color: {type: string, description: What it looks like.}
"""
WIDGET = """
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
spec: {color: %s}
"""


def clients() -> Any:
    found = [
        str(Path(sys.executable).with_name("kubectl")),
        shutil.which("kubectl", path="/usr/bin"),
    ]
    return [each for each in found if each and Path(each).exists()]


@pytest.fixture(params=clients() or [None], ids=lambda path: str(path).replace("/", "_"))
def kubectl(request: Any, run_kubectl: Any) -> Any:
    if request.param is None:
        pytest.skip("there is no kubectl on this machine")

    async def run(*arguments: Any, text: Any = "", ok: Any = True) -> Any:
        code, out, err = await run_kubectl(request.param, *arguments, text=text)
        assert (code == 0) is ok, out + err
        return out if ok else err

    return run


async def test_config_maps(kubectl: Any) -> None:
    assert "configmap/a created" in await kubectl("create", "configmap", "a", "--from-literal=x=y")
    assert "a      1" in await kubectl("get", "configmaps")
    assert json.loads(await kubectl("get", "cm", "a", "-o", "json"))["data"] == {"x": "y"}
    await kubectl("label", "cm", "a", "color=red")
    assert "configmap/a" in await kubectl("get", "cm", "-l", "color=red", "-o", "name")
    await kubectl("patch", "cm", "a", "-p", '{"data":{"z":"1"}}')
    assert 'configmap "a" deleted' in await kubectl("delete", "cm", "a")
    assert 'configmaps "a" not found' in await kubectl("get", "cm", "a", ok=False)


async def test_discovery_and_explain(kubectl: Any) -> None:
    resources = await kubectl("api-resources")
    assert "deployments" in resources
    assert "apps/v1" in await kubectl("api-versions")
    assert "Number of desired pods" in await kubectl("explain", "deployment.spec.replicas")


async def test_custom_resources(kubectl: Any) -> None:
    await kubectl("apply", "-f", "-", text=WIDGETS)
    await kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=60s")
    assert "created" in await kubectl("apply", "-f", "-", text=WIDGET % "red")
    assert "unchanged" in await kubectl("apply", "-f", "-", text=WIDGET % "red")
    assert "configured" in await kubectl("apply", "-f", "-", text=WIDGET % "blue")
    assert "COLOR" in (out := await kubectl("get", "wd"))
    assert "blue" in out
    assert "What it looks like." in await kubectl("explain", "widget.spec.color")
    unknown = WIDGET % "red, colour: red"
    assert "unknown field" in await kubectl("create", "-f", "-", text=unknown, ok=False)
    await kubectl("delete", "crd", "widgets.example.com", "--timeout=60s")
    # It still knows the kind from its cache.
    assert "could not find the requested resource" in await kubectl("get", "wd", ok=False)


async def test_apply_and_diff_of_a_deployment(kubectl: Any) -> None:
    out = await kubectl("create", "deployment", "d", "--image=a", "--dry-run=client", "-o", "yaml")
    # Older kubectls print a null that they then take for a difference, whatever the server.
    out = "\n".join(line for line in out.splitlines() if "creationTimestamp" not in line)
    assert "created" in await kubectl("apply", "-f", "-", text=out)
    assert "unchanged" in await kubectl("apply", "-f", "-", text=out)
    assert "configured" in await kubectl(
        "apply", "-f", "-", text=out.replace("image: a", "image: b")
    )
    await kubectl("scale", "deployment", "d", "--replicas=3")
    await kubectl("set", "image", "deployment/d", "a=c")
    path = "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image}"
    assert await kubectl("get", "deployment", "d", "-o", path) == "3 c"
    assert "strict decoding error" in await kubectl(
        "create",
        "-f",
        "-",
        text=out.replace("replicas:", "replica:").replace("name: d", "name: e", 1),
        ok=False,
    )

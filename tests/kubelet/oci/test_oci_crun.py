"""The same with crun, where runc is not there."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from wherry.kubelet.oci import engine
from wherry.objects.requests import Object
from wherry.testing.registries import installed

pytestmark = pytest.mark.slow

Tool = Callable[..., Awaitable[Object]]
Said = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def crun(runc: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave crun as the only engine; ask for it before the node."""
    installed("crun")
    monkeypatch.setattr(engine, "PROGRAMS", ("crun",))


def ending(pod: Object) -> Object:
    found: Object = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return found


async def test_containers_run_and_end(
    crun: None, node: Any, image: str, tool: Tool, said: Said
) -> None:
    running = await tool(image, "sleep", "1000", terminationGracePeriodSeconds=0)
    hungry = await tool(
        image,
        *("python3.11", "-c", "x = bytearray(300 * 1024 * 1024); print(len(x))"),
        container={"resources": {"limits": {"memory": "64Mi", "cpu": "500m"}}},
    )
    failing = await tool(image, "sh", "-c", "echo so; exit 3")
    absent = await tool(image, "no-such-program")
    done = await node.wait_phase(hungry, "Failed")
    assert (ending(done)["reason"], ending(done)["exitCode"]) == ("OOMKilled", 137)
    done = await node.wait_phase(failing, "Failed")
    assert (ending(done)["reason"], ending(done)["exitCode"]) == ("Error", 3)
    assert await node.log(failing) == "so\n"
    done = await node.wait_phase(absent, "Failed")
    assert ending(done)["reason"] == "StartError"
    await node.wait_phase(running, "Running")
    hostname = f"{running['metadata']['name']}\r\n"
    assert await said(running, "sh", "-c", "test -t 0 && hostname", terminal=True) == (0, hostname)
    assert (await said(running, "sh", "-c", "exit 4"))[0] == 4

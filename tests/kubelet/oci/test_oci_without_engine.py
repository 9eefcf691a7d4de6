"""Where nothing can run images: the error says what to do."""

from typing import Any

import pytest

from wherry.kubelet.oci import daemons, engine
from wherry.kubelet.selection import ANNOTATION


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which none of the programs is installed."""
    monkeypatch.setattr(engine, "PROGRAMS", ("runc-that-nobody-has",))
    monkeypatch.setattr(daemons, "PROGRAMS", ("docker-that-nobody-has",))


def waiting(pod: Any) -> Any:
    return pod["status"]["containerStatuses"][0]["state"]["waiting"]


async def test_both_ways_out_are_named(node: Any) -> None:
    pod = await node.pod_of([{"name": "main", "image": "acme/tool:v1"}])
    held = await node.wait(pod, lambda p: waiting(p)["reason"] == "ImagePullBackOff")
    message = waiting(held)["message"]
    assert 'no Environment covers the image "acme/tool:v1"' in message
    assert "apt-get install runc" in message


async def test_the_pod_wants_a_real_image(node: Any) -> None:
    pod = await node.pod_of(
        [{"name": "main", "image": "python:3"}], metadata={"annotations": {ANNOTATION: "oci"}}
    )
    held = await node.wait(pod, lambda p: "install runc" in waiting(p)["message"])
    assert "Environment" not in waiting(held)["message"]


async def test_a_word_that_means_nothing(node: Any) -> None:
    pod = await node.pod_of(
        [{"name": "main", "image": "python:3"}], metadata={"annotations": {ANNOTATION: "docker"}}
    )
    held = await node.wait(pod, lambda p: "want oci or environment" in waiting(p)["message"])
    assert "'docker'" in waiting(held)["message"]

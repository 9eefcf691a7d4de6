"""Pods of images of a registry that wants a login, and what is seen of them."""

import base64
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.testing.daemons import daemon, started_daemon
from wherry.testing.images import TestRegistry
from wherry.testing.registries import base, image, registry, runc

__all__ = ["base", "daemon", "image", "registry", "runc", "started_daemon"]

PULL = "pull"


@pytest.fixture
async def tool(node: Any, registry: TestRegistry) -> Callable[..., Awaitable[Object]]:
    """Give what creates a pod of an image and its command, with the secret that it takes to pull it.

    Ask for the engine before it.
    """
    assert registry.login is not None
    auth = base64.b64encode(":".join(registry.login).encode()).decode()
    document = json.dumps({"auths": {registry.host: {"auth": auth}}})
    await node.create(
        kinds.SECRETS,
        {
            "metadata": {"name": PULL, "namespace": "team"},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": base64.b64encode(document.encode()).decode()},
        },
    )

    async def create(image: str, *command: str, **spec: Any) -> Object:
        container = {"name": "main", "image": image, **spec.pop("container", {})}
        if command:
            container["command"] = list(command)
        found: Object = await node.pod_of(
            [container], **{"imagePullSecrets": [{"name": PULL}], **spec}
        )
        return found

    return create


@pytest.fixture
def said(node: Any) -> Callable[..., Awaitable[tuple[int, str]]]:
    """Give what runs a command in a pod's container and returns its exit code and its output."""

    async def run(pod: Object, *line: str, terminal: bool = False) -> tuple[int, str]:
        session = await node.agent.streams.execute(
            await node.get(pod), "main", list(line), stdin=False, terminal=terminal
        )
        output = b"".join([piece async for _, piece in session.output()])
        outcome = await session.wait()
        await session.close()
        return outcome.exit_code, output.decode()

    return run


@pytest.fixture
def commands() -> Callable[..., int]:
    """Give what counts the machine's processes of this command line."""

    def count(*line: str) -> int:
        found, sought = 0, "".join(f"{word}\0" for word in line).encode()
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                found += file.read_bytes() == sought
        return found

    return count

"""Pods of an Environment start warm, unless somebody says that they shall not."""

import asyncio
import time
from typing import Any

from wherry.kubelet.environments import kinds as environment_kinds
from wherry.objects.requests import Object

_CODE = "import sys; print('fractions' in sys.modules, __name__)"
_SCRIPT = f'exec python -c "{_CODE}"'


async def _warm(node: Any) -> Any:
    return {state.preload: state for state in await node.agent._launcher.list_warm()}


async def _run(node: Any, *command: str, **metadata: Any) -> str:
    container = {"image": "calc:1", "command": [*(command or ("python", "-c", _CODE))]}
    pod: Object = await node.pod(container=container, metadata=metadata)
    await node.wait_phase(pod, "Succeeded")
    return str(await node.log(pod))


async def test_an_environments_modules_are_there_already(node: Any) -> None:
    spec = {"images": ["calc:*"], "preload": ["fractions"]}
    await node.create(environment_kinds.ENVIRONMENTS, {"metadata": {"name": "calc"}, "spec": spec})
    assert await _run(node) == "False __main__\n"  # the first starts cold
    deadline = time.monotonic() + 60
    while not (await _warm(node))["fractions",].ready:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert await _run(node) == "True __main__\n"
    assert await _run(node, annotations={"wherry.dev/warm-start": "false"}) == "False __main__\n"
    state = (await _warm(node))["fractions",]
    assert (state.started, state.went_cold) == (1, 0)
    if node.agent._launcher.features.isolate:
        assert await _run(node, "sh", "-c", _SCRIPT) == "True __main__\n"
        off = {"wherry.dev/warm-start": "false"}
        assert await _run(node, "sh", "-c", _SCRIPT, annotations=off) == "False __main__\n"


async def test_a_volume_above_the_environments_hides_none(node: Any) -> None:
    spec = {"images": ["calc:*"], "preload": ["fractions"]}
    await node.create(environment_kinds.ENVIRONMENTS, {"metadata": {"name": "calc"}, "spec": spec})
    folder = str(node.settings.data.parent)
    code = f"import os, sys; print(sys.executable, sorted(os.listdir({folder!r})))"
    container = {
        "image": "calc:1",
        "command": ["python", "-c", code],
        "volumeMounts": [{"name": "over", "mountPath": folder}],
    }
    pod: Object = await node.pod(container=container, volumes=[{"name": "over", "emptyDir": {}}])
    await node.wait_phase(pod, "Succeeded")
    said = str(await node.log(pod))
    if node.agent._launcher.features.isolate:
        assert said.startswith(str(node.settings.environments))
        assert said.endswith(f" ['{node.settings.data.name}']\n")

"""`docs/mini.py` runs, and behaves as its text says."""

import asyncio
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PATH = Path(__file__).resolve().parent.parent / "docs" / "mini.py"


@pytest.fixture(scope="module")
def mini() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mini", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def job(*command: str, completions: int = 1) -> dict[str, Any]:
    spec = {"completions": completions, "command": [sys.executable, "-S", "-c", *command]}
    return {"metadata": {"name": "sample"}, "spec": spec}


async def until(client: Any, plural: str, done: Callable[[dict[str, Any]], bool]) -> None:
    async with asyncio.timeout(90):
        async for event in client.watch(plural):
            if done(event["object"].get("status", {})):
                return


def test_it_is_short_enough_to_read():
    assert len(PATH.read_text().splitlines()) <= 300


def test_its_demonstration_runs():
    done = subprocess.run(
        [sys.executable, str(PATH)], capture_output=True, text=True, timeout=90, check=True
    )
    assert "{'succeeded': 3, 'complete': True}" in done.stdout
    assert done.stdout.count("hello from process") == 3


async def test_a_job_gets_its_pods_and_its_status(mini: ModuleType):
    async with mini.platform() as client:
        await client.call("POST", "jobs", job("print(6 * 7)", completions=2))
        await until(client, "jobs", lambda status: status.get("complete", False))
        pods = (await client.call("GET", "pods"))["items"]
        assert [pod["metadata"]["name"] for pod in pods] == ["sample-0", "sample-1"]
        assert {pod["status"]["log"] for pod in pods} == {"42"}


async def test_a_failed_process_is_a_failed_pod(mini: ModuleType):
    async with mini.platform() as client:
        await client.call("POST", "jobs", job("raise SystemExit(3)"))
        await until(client, "pods", lambda status: status.get("phase") == "Failed")
        assert not (await client.call("GET", "jobs/sample"))["status"]["complete"]


async def test_a_write_that_has_not_seen_the_latest_is_refused(mini: ModuleType):
    async with mini.platform() as client:
        made = await client.call("POST", "notes", {"metadata": {"name": "a"}})
        await client.call("PUT", "notes/a", {**made, "text": "first"})
        with pytest.raises(mini.ConflictError, match="read it again"):
            await client.call("PUT", "notes/a", {**made, "text": "second"})
        assert (await client.call("GET", "notes/a"))["text"] == "first"


async def test_an_object_without_a_name_is_refused(mini: ModuleType):
    async with mini.platform() as client:
        with pytest.raises(LookupError, match=r"metadata\.name"):
            await client.call("POST", "notes", {"metadata": {}})

"""A server in a process of its own, which runs for those who connect, and for no longer."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wherry.controller.serving import relay
from wherry.controller.serving.relay import Relay
from wherry.testing.waiting import eventually

ECHO = """
import json, os, pathlib, signal, socket, sys, threading

server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1].removeprefix("unix:"))
server.listen()

def serve():
    while True:
        connection, _ = server.accept()
        with connection:
            said = connection.recv(100)
            connection.sendall(b"%d %s" % (os.getpid(), said))

threading.Thread(target=serve, daemon=True).start()
print(json.dumps({"serving": True}), flush=True)
sys.stdin.buffer.read()
folder = pathlib.Path(os.environ["FOLDER"])
(folder / f"{os.getpid()}-told").touch()
if (folder / "stubborn").exists():
    signal.pause()
"""


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    (tmp_path / "served_here.py").write_text(ECHO)
    variables = {"PYTHONPATH": str(tmp_path), "FOLDER": str(tmp_path)}
    log = logging.getLogger("relay")
    made = Relay("served_here", variables, log=log, idle_seconds=0.1)
    try:
        yield await made.listen("127.0.0.1", 0)
    finally:
        await made.close()


async def ask(port: int) -> int:
    """Say something; return which process has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello")
    async with asyncio.timeout(45):
        answer = await reader.read()
    writer.close()
    pid, said = answer.split()
    assert said == b"hello"
    return int(pid)


async def told_to_end(pid: int, folder: Path) -> None:
    await asyncio.to_thread(eventually, (folder / f"{pid}-told").exists)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_process_ends_when_nobody_is_connected_and_another_follows(
    port: int, tmp_path: Path
) -> None:
    first = await ask(port)
    await told_to_end(first, tmp_path)
    second = await ask(port)
    assert second != first
    assert not exists(first)


async def test_one_that_does_not_end_is_ended_before_another_follows(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_END_SECONDS", 0.5)
    (tmp_path / "stubborn").touch()
    first = await ask(port)
    await told_to_end(first, tmp_path)
    second = await ask(port)
    assert second != first
    assert not exists(first)

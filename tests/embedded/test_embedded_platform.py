"""One platform: what it leaves behind, what it refuses, and that it goes on where it was."""

import json
import os
import socket
import ssl
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.client import kubeconfig
from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.embedded.platform import Platform, StartError
from wherry.embedded.settings import Settings
from wherry.objects import kinds, metadata
from wherry.store import StoreLockedError
from wherry.testing.in_process import end_pods


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    yield Settings(directory=tmp_path / "wherry", port=0)
    end_pods(tmp_path / "wherry")


async def test_a_kubeconfig_that_works_and_that_nobody_else_can_read(settings: Settings) -> None:
    async with Platform(settings):
        assert stat.S_IMODE(settings.kubeconfig.stat().st_mode) == 0o600
        assert stat.S_IMODE(settings.directory.stat().st_mode) == 0o700
        client = Client(HttpTransport(kubeconfig.connection(settings.kubeconfig)))
        assert "default" in map(metadata.name, await client.list(kinds.NAMESPACES))
        await client.close()
        keys = [path for path in settings.directory.rglob("*.key") if path.is_file()]
        assert len(keys) == 4
        assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}


async def test_what_it_says_of_itself_goes_when_it_stops(settings: Settings) -> None:
    async with Platform(settings) as platform:
        state = json.loads(settings.state_file.read_text())
        assert (state["pid"], state["url"]) == (os.getpid(), platform.url)
    assert not settings.state_file.exists()


async def test_objects_and_port_survive_a_restart(settings: Settings) -> None:
    async with Platform(settings) as platform:
        url = platform.url
        config_map = {"metadata": {"name": "kept", "namespace": "default"}, "data": {"a": "1"}}
        made = await platform.client.create(kinds.CONFIG_MAPS, config_map)
    again = Settings(directory=settings.directory)
    async with Platform(again) as platform:
        assert platform.url == url
        found = await platform.client.get(kinds.CONFIG_MAPS, "kept", "default")
        assert metadata.resource_version(found) == metadata.resource_version(made)


async def test_a_second_platform_on_the_same_directory_is_refused(settings: Settings) -> None:
    async with Platform(settings):
        with pytest.raises(StoreLockedError, match=str(os.getpid())):
            await Platform(settings).start()


async def test_a_port_that_is_taken_is_named(settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        wanted = Settings(directory=settings.directory, port=port)
        with pytest.raises(StartError, match=f"port {port} .* is taken .* --port"):
            await Platform(wanted).start()
    # What was begun is undone: the same directory can be started at once.
    async with Platform(settings):
        pass


def test_platforms_of_one_machine_have_addresses_of_their_own(tmp_path: Path) -> None:
    ranges = {Settings(directory=tmp_path / str(n)).service_range for n in range(8)}
    assert len(ranges) > 1
    assert all(one.startswith("127.") and one.endswith("/20") for one in ranges)


def test_the_process_reports_success_and_failure_on_its_descriptor(tmp_path: Path) -> None:
    def start() -> tuple[subprocess.Popen[bytes], dict[str, str]]:
        reader, writer = os.pipe()
        command = [sys.executable, "-m", "wherry.embedded", "--directory", str(tmp_path / "w")]
        command += ["--port", "0", "--ready-fd", str(writer)]
        process = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
        os.close(writer)
        with os.fdopen(reader) as lines:
            return process, json.loads(lines.readline())

    first, ready = start()
    try:
        authority = tmp_path / "w" / "pki" / "ca.crt"
        context = ssl.create_default_context(cafile=str(authority))
        with urllib.request.urlopen(f"{ready['url']}/version", context=context) as answer:
            assert json.load(answer)["major"].isdigit()
        second, refused = start()
        assert "wherry" in refused["error"] or str(first.pid) in refused["error"]
        assert second.wait(60) == 1
    finally:
        first.terminate()
        assert first.wait(90) == 0
        end_pods(tmp_path / "w")


async def test_a_failure_of_the_machine_says_what_was_being_done(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(settings.directory / "no-python"))
    with pytest.raises(StartError, match=r"starting the node, whose launcher runs .*no-python"):
        await Platform(settings).start()

"""Artifacts in real S3 servers: files, folders, large ones, wrong keys, and a server that dies."""

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

import wherry
from wherry.testing import object_stores

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _made(folder: Path, size: int = 10) -> Path:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a").write_bytes(b"a" * size)
    (folder / "deep" / "er" / "ü b?c#.txt").write_bytes(b"b" * 7)
    (folder / "empty").touch()
    return folder


def _content(folder: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file()
    }


def test_files_and_folders_go_there_and_back(calls, bucket, tmp_path):
    source = _made(tmp_path / "source")
    one, all_ = f"{bucket.replace('s3', 'minio')}/root/one", f"{bucket}/root/folder"
    results = calls(
        ["exists", one],
        ["put", str(source / "a"), one],
        ["put", str(source), all_],
        ["exists", one],
        ["exists", all_],
        ["size", all_],
        ["list", all_],
        ["get", one, str(tmp_path / "back" / "one")],
        ["get", all_, str(tmp_path / "back" / "folder")],
        ["read", one, 8, 100],
        ["read", one, 100, 100],
        ["write", f"{bucket}/root/note", "text"],
        ["read", f"{bucket}/root/note", 0, 2],
    )
    assert results[:6] == [
        False,
        {"files": 1, "size": 10},
        {"files": 3, "size": 17},
        True,
        True,
        {"files": 3, "size": 17},
    ]
    names = ["a", "deep/er/ü b?c#.txt", "empty"]
    assert results[6] == [
        [f"{all_}/{name}", size] for name, size in zip(names, (10, 7, 0), strict=True)
    ]
    assert results[9:] == ["aa", "", None, "te"]
    assert _content(tmp_path / "back" / "folder") == _content(source)
    assert (tmp_path / "back" / "one").read_bytes() == b"a" * 10


def test_what_is_deleted_is_gone_and_nothing_else(calls, bucket, tmp_path):
    source = _made(tmp_path / "source")
    results = calls(
        ["put", str(source), f"{bucket}/run1"],
        ["put", str(source), f"{bucket}/run10"],
        ["delete", f"{bucket}/run1"],
        ["exists", f"{bucket}/run1"],
        ["size", f"{bucket}/run10"],
        ["delete", f"{bucket}/run1"],
        ["delete", f"{bucket}"],
    )
    assert results[3:6] == [False, {"files": 3, "size": 17}, None]
    assert results[6]["error"][1].endswith("name what to delete")


def test_what_is_missing_is_told(calls, bucket, tmp_path):
    results = calls(
        ["get", f"{bucket}/none", str(tmp_path / "x")],
        ["put", str(tmp_path / "none"), f"{bucket}/y"],
        ["read", f"{bucket}/none", 0, 1],
        ["put", __file__, bucket.replace("bucket", "no-such-bucket") + "/y"],
    )
    assert [each["error"][0] for each in results[:3]] == ["MissingError"] * 3
    assert f"{bucket}/none" in results[0]["error"][1]
    assert not (tmp_path / "x").exists()
    assert "://no-such-bucket/y" in results[3]["error"][1]


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_no_file_of_a_folder_is_put_outside_of_it(calls, bucket, tmp_path):
    """Stores take any name, also one that goes up."""
    results = calls(
        ["plant", bucket, "folder/a", "x"],
        ["plant", bucket, "folder/../../outside", "x"],
        ["list", f"{bucket}/folder"],
        ["get", f"{bucket}/folder", str(tmp_path / "deep" / "back")],
        ["delete", f"{bucket}/folder"],
        ["exists", f"{bucket}/folder"],
    )
    assert [name for name, _ in results[2]] == [
        f"{bucket}/folder/../../outside",
        f"{bucket}/folder/a",
    ]
    assert "goes up" in results[3]["error"][1]
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]
    assert results[4:] == [None, False]


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_no_archive_of_a_folder_has_a_file_outside_of_it(calls, bucket):
    calls(["plant", bucket, "folder/a", "x"], ["plant", bucket, "folder/../../outside", "x"])
    told = json.loads(calls.variables["WHERRY_ARTIFACT_STORES"])
    keys = {"access": object_stores.ACCESS_KEY, "secret": object_stores.SECRET_KEY}
    asked = {"uri": f"{bucket}/folder", **told, "keys": {"keys": keys}}
    done = subprocess.run(
        [str(calls.python), "-m", "wherry.pipelines.contents.reader"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(wherry.__file__).parents[1])},
        input=json.dumps(asked).encode() + b"\n",
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert "goes up" in json.loads(done.stdout)["failed"], done.stderr


def test_a_large_file_goes_there_and_back(calls, bucket, tmp_path):
    source, back = tmp_path / "large", tmp_path / "back"
    digest = hashlib.sha256()
    with source.open("wb") as file:
        for number in range(160):
            part = bytes([number]) * (1024 * 1024)
            digest.update(part)
            file.write(part)
    results = calls(["put", str(source), f"{bucket}/large"], ["get", f"{bucket}/large", str(back)])
    assert results == [{"files": 1, "size": 160 * 1024 * 1024}] * 2
    assert hashlib.sha256(back.read_bytes()).hexdigest() == digest.hexdigest()


class _Relay:
    """Passes bytes on to a server until so many have passed; then calls back, and passes none."""

    def __init__(self, port: int, most: int, full) -> None:
        self._port, self._left, self._full = port, most, full
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                client.close()
                continue
            threading.Thread(target=self._both, args=(client, server), daemon=True).start()

    def _both(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            back = threading.Thread(target=self._pass, args=(server, client), daemon=True)
            back.start()
            self._pass(client, server)
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while part := source.recv(65536):
                self._count(len(part))
                target.sendall(part)
        except OSError:
            pass
        finally:
            for each in (source, target):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _count(self, size: int) -> None:
        with self._lock:
            self._left -= size
            if self._left > 0:
                return
            if self._listening.fileno() >= 0:
                self._listening.close()
                self._full()
            raise OSError("full")


def test_a_server_that_dies_fails_the_upload_and_leaves_no_half(server, calls, stores, tmp_path):
    if server.keeps is None:
        pytest.skip("what it keeps dies with it")
    source = tmp_path / "large"
    source.write_bytes(bytes(120 * 1024 * 1024))
    relay = _Relay(server.port, 70 * 1024 * 1024, server.kill)
    through = type(calls)(calls.python, f"http://127.0.0.1:{relay.port}")
    (result,) = through(["put", str(source), "s3://bucket/large"])
    assert result["error"][0] == "StorageError"
    assert result["error"][1].startswith("s3://bucket/large: ")
    server.start()
    again = type(calls)(calls.python, server.url)
    assert again(["exists", "s3://bucket/large"]) == [False]
    (whole,) = again(["put", str(source), "s3://bucket/large"])
    assert whole == {"files": 1, "size": 120 * 1024 * 1024}


def test_wrong_keys_are_told_without_them(server, calls, tmp_path):
    if server.keeps is None:
        pytest.skip("it checks no keys")
    wrong = type(calls)(calls.python, server.url, secret="WRONGSECRET")
    (result,) = wrong(["put", __file__, "s3://bucket/x"])
    assert result["error"][0] == "StorageError"
    assert "WRONGSECRET" not in result["error"][1]

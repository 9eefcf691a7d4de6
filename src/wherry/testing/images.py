"""Real images, made by a test in memory and pushed to a registry: no Docker, no download.

An image of `of_machine` holds programs of the machine it is made on, with their libraries.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SECONDS = 60


def architecture() -> str:
    """Return this machine's architecture, as images name it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def digest(content: bytes) -> str:
    """Return the digest of a blob."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def layer(entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """Return a tar archive of entries with their contents."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def files(contents: Mapping[str, str]) -> bytes:
    """Return a tar archive of text files."""
    entries = []
    for path, text in contents.items():
        entry = tarfile.TarInfo(path)
        entry.mode = 0o755
        entries.append((entry, text.encode()))
    return layer(entries)


def of_machine(programs: Iterable[str], trees: Iterable[str]) -> bytes:
    """Return a layer with programs of this machine and what they need.

    Args:
        programs: Absolute paths.
        trees: Folders that come along, compiled and test files left out.
    """
    buffer = io.BytesIO()
    wanted = {path: Path(path).resolve() for path in programs}
    for path in list(wanted):
        wanted.update({library: Path(library).resolve() for library in _libraries(path)})
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, real in sorted(wanted.items()):
            tar.add(real, path.lstrip("/"), recursive=False)
        for tree in trees:
            tar.add(tree, tree.lstrip("/"), filter=_wanted)
        for folder, mode in (("tmp", 0o1777), ("etc", 0o755)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
    return buffer.getvalue()


def _libraries(program: str) -> list[str]:
    done = subprocess.run(  # noqa: S603 - a program that the test names
        ["/usr/bin/ldd", program], capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    return [word for word in done.stdout.split() if word.startswith("/") and os.path.exists(word)]  # noqa: PTH110 - a text is wanted


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = set(entry.name.split("/"))
    left_out = {"__pycache__", "test", "idlelib", "lib2to3", "ensurepip", "dist-packages"}
    return None if parts & left_out else entry


@dataclass(frozen=True, kw_only=True)
class TestImage:
    """An image that is not anywhere yet.

    Attributes:
        layers: Tar archives, lowest first.
        config: The `config` part of its configuration: `Cmd`, `Env`, `User` …
    """

    __test__ = False

    layers: tuple[bytes, ...]
    config: Mapping[str, Any] = field(default_factory=dict)

    def push(self, registry: "TestRegistry", repository: str, tag: str) -> str:
        """Put it into a registry and return the manifest's digest."""
        packed = [gzip.compress(one, 1, mtime=0) for one in self.layers]
        configuration = {
            "architecture": architecture(),
            "os": "linux",
            "config": dict(self.config),
            "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in self.layers]},
        }
        config = json.dumps(configuration).encode()
        for blob in (*packed, config):
            registry.blob(repository, blob)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config),
            "layers": [descriptor(LAYER, one) for one in packed],
        }
        return registry.manifest(repository, tag, manifest)


def descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    """Return how manifests name a blob."""
    return {"mediaType": media_type, "digest": digest(blob), "size": len(blob)}


@dataclass(frozen=True)
class TestRegistry:
    """A registry that a test may write to.

    Attributes:
        host: With its port.
        login: Name and password, if it wants them.
    """

    __test__ = False

    host: str
    login: tuple[str, str] | None = None

    def blob(self, repository: str, content: bytes) -> None:
        """Upload a blob, if it is not there."""
        uploads = f"http://{self.host}/v2/{repository}/blobs/uploads/"
        location = urljoin(uploads, self._call("POST", uploads, b"")["Location"])
        mark = "&" if "?" in location else "?"
        self._call("PUT", f"{location}{mark}digest={digest(content)}", content)

    def manifest(self, repository: str, tag: str, document: Mapping[str, Any]) -> str:
        """Upload a manifest or an index and return its digest."""
        content = json.dumps(document).encode()
        url = f"http://{self.host}/v2/{repository}/manifests/{tag}"
        self._call("PUT", url, content, str(document["mediaType"]))
        return digest(content)

    def _call(
        self, method: str, url: str, content: bytes, kind: str = "application/octet-stream"
    ) -> Mapping[str, str]:
        headers = {"Content-Type": kind}
        if self.login is not None:
            text = base64.b64encode(":".join(self.login).encode()).decode()
            headers["Authorization"] = f"Basic {text}"
        call = urllib.request.Request(url, content, headers, method=method)  # noqa: S310 - a test's own registry
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(call, timeout=_SECONDS) as answer:
            return dict(answer.headers)

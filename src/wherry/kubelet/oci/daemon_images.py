"""The images that Docker or Podman has or pulls, with what a pod's secrets say for each registry."""

import base64
import contextlib
import io
import json
import os
import secrets
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wherry.kubelet.oci import image_config, manifests, references
from wherry.kubelet.oci.credentials import Credentials
from wherry.kubelet.oci.daemons import Daemon, DaemonError
from wherry.kubelet.oci.image_config import ImageConfig

_PULL_SECONDS = 3600.0
_MAX_ACCOUNTS_BYTES = 1024 * 1024
_HUB_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True, slots=True)
class DaemonImage:
    """An image that the engine has.

    Attributes:
        id: The engine's.
        shown: What a pod's status shows: the name with its digest, where it came from a registry.
        config: What it says of itself.
        accounts: Its `passwd` and `group`, by these names.
        size_bytes: Unpacked.
    """

    id: str
    shown: str
    config: ImageConfig
    accounts: Mapping[str, str]
    size_bytes: int | None


class DaemonImages:
    """Finds and pulls images."""

    def __init__(self, daemon: Daemon, insecure: Sequence[str]) -> None:
        """Take the engine, and the registries whose certificates are not checked."""
        self._daemon = daemon
        self._insecure = frozenset(insecure)
        self._accounts: dict[str, Mapping[str, str]] = {}

    async def find(self, name: str, reference: references.Reference) -> DaemonImage | None:
        """Return an image that is there.

        Args:
            name: As the pod has it: Podman knows what was built here by its short name.
            reference: The same in full.

        Raises:
            DaemonError: it is none that can be run.
        """
        wanted = _wanted(reference) if reference.digest else name
        try:
            output = await self._daemon.call("image", "inspect", "--", wanted)
        except DaemonError:
            return None
        try:
            document = json.loads(output)[0]
            config = image_config.of_document(document.get("Config") or {}, ())
            found = str(document["Id"])
        except (
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            manifests.ManifestError,
        ) as error:
            raise DaemonError(
                f"{self._daemon.kind} describes the image wrongly: {error}"
            ) from error
        if found not in self._accounts:
            self._accounts[found] = await self._read_accounts(found)
        return DaemonImage(
            id=found,
            shown=_shown(document, reference),
            config=config,
            accounts=self._accounts[found],
            size_bytes=document.get("Size"),
        )

    async def pull(self, reference: references.Reference, keys: Sequence[Credentials]) -> None:
        """Pull an image, with each key in turn, then with those that the user has stored.

        Raises:
            DaemonError: it cannot be had.
        """
        problem = ""
        for key in keys:
            try:
                with _login(self._daemon, reference, key) as login:
                    await self._pull(reference, login)
                return
            except DaemonError as error:
                problem = problem or str(error)
        try:
            await self._pull(reference, ())
        except DaemonError as error:
            raise DaemonError(problem or str(error)) from error

    async def _pull(self, reference: references.Reference, login: tuple[str, ...]) -> None:
        line = [*login, "pull", "--quiet"]
        if self._daemon.kind == "podman":
            # Docker's daemon has a setting of its own for these.
            line = ["pull", "--quiet", *login]
            if reference.host in self._insecure or references.is_loopback(reference.host):
                line.append("--tls-verify=false")
        await self._daemon.long_call(_PULL_SECONDS, *line, _wanted(reference))

    async def _read_accounts(self, image: str) -> dict[str, str]:
        """Return the image's own files of users and groups, empty where it has none."""
        name = f"look-{secrets.token_hex(8)}"
        await self._daemon.create(name, ("--pull", "never", "--entrypoint", "-", image), {})
        try:
            return {file: await self._read(name, file) for file in ("passwd", "group")}
        finally:
            await self._daemon.delete(name)

    async def _read(self, container: str, file: str) -> str:
        with contextlib.suppress(DaemonError, tarfile.TarError):
            archive = io.BytesIO(await self._daemon.copy_out(container, f"/etc/{file}"))
            with tarfile.open(fileobj=archive) as tar:
                for entry in tar:
                    stream = tar.extractfile(entry) if entry.isreg() else None
                    if stream is not None:
                        return stream.read(_MAX_ACCOUNTS_BYTES).decode(errors="replace")
        return ""


def _wanted(reference: references.Reference) -> str:
    # Both a tag and a digest is more than some versions take; the digest counts.
    return f"{reference.name}@{reference.digest}" if reference.digest else reference.text


def _shown(document: Mapping[str, Any], reference: references.Reference) -> str:
    for one in document.get("RepoDigests") or []:
        with contextlib.suppress(ValueError):
            found = references.parse(str(one))
            if found.name == reference.name and reference.digest in {"", found.digest}:
                return found.text
    return str(document["Id"])


@contextlib.contextmanager
def _login(
    daemon: Daemon, reference: references.Reference, key: Credentials
) -> Iterator[tuple[str, ...]]:
    """Give options that make the engine use a key, from a file that is there for as long only."""
    with tempfile.TemporaryDirectory(prefix="wherry-login-") as name:
        folder = Path(name)
        host = reference.registry
        if host == references.HUB and daemon.kind == "docker":
            host = _HUB_KEY
        entry = {"identitytoken": key.identity_token} if key.identity_token else {}
        document = {"auths": {host: {"auth": _auth(key), **entry}}, **_context(folder)}
        (folder / "config.json").touch(mode=0o600)
        (folder / "config.json").write_text(json.dumps(document))
        if daemon.kind == "podman":
            yield ("--authfile", str(folder / "config.json"))
        else:
            yield ("--config", name)


def _context(folder: Path) -> dict[str, str]:
    """Have docker find the same daemon as with the user's own configuration."""
    users = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    (folder / "contexts").symlink_to(users / "contexts")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return {
            "currentContext": str(json.loads((users / "config.json").read_text())["currentContext"])
        }
    return {}


def _auth(key: Credentials) -> str:
    return base64.b64encode(f"{key.username}:{key.password}".encode()).decode()

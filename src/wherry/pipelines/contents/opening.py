"""Opens what is in an artifact: in a folder of this machine, a claim's, or an object store.

URIs are what steps have said. So what is opened is the namespace's own: a folder that its steps may
write to, its claims, and stores with the keys that it has itself, in a Secret.
"""

import asyncio
import base64
import binascii
import fnmatch
import json
import os
import urllib.parse
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wherry.client.client import Client
from wherry.controller.surroundings import Surroundings
from wherry.metadata.artifacts import configured, defaults, uris
from wherry.metadata.artifacts.providers import Providers, ProvidersError
from wherry.metadata.artifacts.storage import NEEDED
from wherry.metadata.records import Artifact
from wherry.objects import errors, metadata, names
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import naming
from wherry.pipelines.contents import content, folders
from wherry.pipelines.contents.content import Content
from wherry.pipelines.contents.processes import Readers

OPTION: Final = "pipelines-store-endpoints"
"""Option: further servers of object stores from which artifacts are read here, with commas between:
``host`` or ``host:port``, with ``*`` for any. On a cluster a namespace could else have us ask our
neighbours; on one's own machine its pods are there already."""
ENDPOINTS: Final = (
    # Not all of Amazon's: names of its load balancers may lead to our neighbours.
    *("s3.amazonaws.com", "s3.*.amazonaws.com", "s3-*.amazonaws.com"),
    *("storage.googleapis.com", "oauth2.googleapis.com", "accounts.google.com"),
    "minio-service.kubeflow:9000",
)
_FOLDER: Final = "pipelines-reading"
_PIECE: Final = 1024 * 1024
_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class _Place:
    """A file or folder of this machine.

    Attributes:
        path: Its own.
        within: Folder above it that no step can put something else in place of.
    """

    path: Path
    within: Path


class Contents:
    """What is in artifacts. For one event loop."""

    def __init__(self, client: Client, around: Surroundings, artifacts: Path | None) -> None:
        """Take what it works with.

        Args:
            client: May read ConfigMaps, claims and volumes, and the Secrets of stores.
            around: Where this process runs.
            artifacts: Folder of this machine in which namespaces have theirs; None: there is none.
        """
        self._client = client
        self._artifacts = artifacts
        self._local = around.local
        folder = around.folder(_FOLDER) if around.local else None
        self._readers = Readers(folder)
        told = around.options.get(OPTION, "").split(",")
        self._endpoints = (*ENDPOINTS, *(each.strip() for each in told if each.strip()))
        self._threads: ThreadPoolExecutor | None = None

    async def open(self, artifact: Artifact, config: Mapping[str, str] | None = None) -> Content:
        """Open what is in an artifact; who takes it closes it.

        Args:
            artifact: Which.
            config: What is said of stores; None: what the namespace's ConfigMap says.

        Raises:
            NotFoundError: its file is gone.
            BadRequestError: it cannot be read here; the message says why.
            ApiError: it cannot be read now.
        """
        try:
            uri = uris.parse(artifact.uri)
        except uris.UriError as error:
            raise errors.BadRequestError(f"artifact {artifact.id} has no file: {error}") from error
        name = uri.path.rstrip("/").rpartition("/")[2] or "artifact"
        if uri.scheme in ("file", "pvc"):
            place = await self._place(artifact, uri)
            return await self._of_machine(place, name)
        if uri.scheme not in NEEDED or uri.scheme.startswith("http"):
            raise errors.BadRequestError(
                f"artifact {artifact.id} is not kept here: read it at {artifact.uri[:500]}"
            )
        if config is None:
            config = await self.config(artifact.namespace)
        return await self._of_store(artifact, uri, name, config)

    async def whole(self, artifact: Artifact, most: int) -> bytes:
        """Return all bytes of an artifact that is one file.

        Args:
            artifact: Which.
            most: How many at most.

        Raises:
            RequestEntityTooLargeError: there are more.
            ApiError: it cannot be read, or is a folder.
        """
        opened = await self.open(artifact)
        try:
            if opened.size is None:
                raise errors.BadRequestError(
                    f"artifact {artifact.id} is a folder; read it as an archive at "
                    f"/apis/wherry.dev/v1/artifacts/{artifact.id}/content"
                )
            if opened.size > most:
                raise errors.RequestEntityTooLargeError(
                    f"artifact {artifact.id} has {opened.size} bytes, more than the {most} that are "
                    f"sent this way; read it at /apis/wherry.dev/v1/artifacts/{artifact.id}/content"
                )
            return b"".join([piece async for piece in opened.read(0, opened.size)])
        finally:
            await opened.close()

    async def close(self) -> None:
        """End its threads, which are started again where they are needed. Idempotent."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    async def _place(self, artifact: Artifact, uri: uris.Uri) -> _Place:
        if self._artifacts is None:
            raise errors.BadRequestError(
                f"artifact {artifact.id} is at {artifact.uri[:500]}, which only pods can read"
            )
        if uri.scheme == "pvc":
            within = await self._claim(uri.place, artifact.namespace)
            return _Place(within / uri.path, within)
        within = self._artifacts / naming.folder(artifact.namespace)
        path = Path(uri.path)
        if path == within or not path.is_relative_to(within):
            raise errors.BadRequestError(
                f"artifact {artifact.id} is at {artifact.uri[:500]}, which is not in the folder of "
                f"namespace {artifact.namespace}: it is not read here"
            )
        return _Place(path, within)

    async def _claim(self, name: str, namespace: str) -> Path:
        """Return the folder of this machine that is a claim's."""
        if names.dns_subdomain(name):
            raise errors.BadRequestError(f"{name[:80]!r} is no name of a claim")
        try:
            claim = await self._client.get(core.PERSISTENT_VOLUME_CLAIMS, name, namespace)
            wanted = claim["spec"].get("volumeName", "")
            volume = await self._client.get(core.PERSISTENT_VOLUMES, wanted) if wanted else {}
        except errors.NotFoundError as error:
            raise errors.NotFoundError(f"the artifact's claim {name} is gone") from error
        spec = volume.get("spec") or {}
        path = (spec.get("hostPath") or spec.get("local") or {}).get("path")
        # A claim may name any volume; whose a volume is, it says itself.
        if not path or (spec.get("claimRef") or {}).get("uid") != metadata.uid(claim):
            raise errors.BadRequestError(
                f"claim {name} has no volume that is a folder of this machine: only pods can read it"
            )
        return Path(path)

    async def _of_machine(self, place: _Place, name: str) -> Content:
        run = asyncio.get_running_loop().run_in_executor
        if self._threads is None:
            # Reading what is not in memory takes a while; other work must not wait for that.
            self._threads = ThreadPoolExecutor(_THREADS, "artifacts")
        threads = self._threads
        try:
            at = await run(threads, folders.opened, place.path, place.within)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise errors.NotFoundError("the artifact's file is gone") from error
        except (OSError, ValueError) as error:
            # The message of the system would tell of paths.
            raise errors.BadRequestError(
                "the artifact's file cannot be read, or is behind a link"
            ) from error
        if folders.is_folder(at):
            os.close(at)
            asked = {"path": str(place.path), "within": str(place.within)}
            return await self._read(asked, (), name)
        if not folders.is_file(at):
            os.close(at)
            raise errors.BadRequestError("the artifact is neither a file nor a folder")
        return _File(at, threads).content(name)

    async def _of_store(
        self, artifact: Artifact, uri: uris.Uri, name: str, config: Mapping[str, str]
    ) -> Content:
        root = config.get("defaultPipelineRoot", "")
        try:
            found = Providers(config, root)
            provider = found.of(artifact.uri)
            self._check_endpoint(provider.url)
            wanted = found.secrets([artifact.uri])
        except (ProvidersError, uris.UriError) as error:
            raise errors.BadRequestError(f"the artifact's store: {error}") from error
        keys = {
            secret: await self._keys(secret, named, artifact.namespace)
            for secret, named in wanted.items()
        }
        self._check_account(keys.get(provider.secret, {}).get(provider.token_key, ""))
        asked = {"uri": artifact.uri, "config": dict(config), "root": root, "keys": keys}
        return await self._read(asked, (NEEDED[uri.scheme],), name)

    def _check_account(self, token: str) -> None:
        """Refuse an account of Google whose tokens are to be had from elsewhere; see `_check_endpoint`."""
        try:
            told = json.loads(token or "{}")
        except (ValueError, RecursionError) as error:
            raise errors.BadRequestError(
                "the artifact's store: the account's token is no JSON"
            ) from error
        if isinstance(told, dict):
            self._check_endpoint(str(told.get("token_uri", "")))

    def _check_endpoint(self, url: str) -> None:
        """Refuse to ask servers that a namespace could have us ask on a cluster.

        Raises:
            BadRequestError: it is one of them.
        """
        if self._local or not url:
            return
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError as error:
            raise errors.BadRequestError(
                f"artifacts are not read here from {url[:200]!r}: {error}; want host or host:port"
            ) from error
        asked = (host, f"{host}:{port}")
        if not any(fnmatch.fnmatchcase(each, known) for each in asked for known in self._endpoints):
            raise errors.BadRequestError(
                f"artifacts are not read here from {host}: the option {OPTION} does not name it"
            )

    async def _read(self, asked: Object, packages: tuple[str, ...], name: str) -> Content:
        reader = await self._readers.open(asked, packages)
        if reader.is_folder:
            return Content(
                read=reader.read,
                media_type=content.ARCHIVE,
                name=f"{name}.tar.gz",
                close=reader.close,
            )
        return Content(read=reader.read, size=reader.size, name=name, close=reader.close)

    async def config(self, namespace: str) -> Mapping[str, str]:
        """Return what a namespace says of stores."""
        return await configured.config(self._client, namespace)

    async def _keys(self, name: str, wanted: tuple[str, ...], namespace: str) -> dict[str, str]:
        try:
            secret = await self._client.get(core.SECRETS, name, namespace)
        except errors.NotFoundError as error:
            raise errors.BadRequestError(
                f"the artifact's store: there is no Secret {name} in namespace {namespace}"
            ) from error
        except errors.ForbiddenError as error:
            raise errors.BadRequestError(
                f"the artifact's store: Wherry may not read Secret {name} of namespace {namespace}; "
                f"grant its account get of it by a Role there, or name the Secret {defaults.SECRET}"
            ) from error
        held = secret.get("data") or {}
        try:
            return {key: base64.b64decode(held.get(key, "")).decode() for key in wanted}
        except (binascii.Error, UnicodeDecodeError) as error:
            raise errors.BadRequestError(
                f"the artifact's store: Secret {name} holds no texts"
            ) from error


class _File:
    """A file of this machine that is open."""

    def __init__(self, descriptor: int, threads: ThreadPoolExecutor) -> None:
        self._descriptor = descriptor
        self._threads = threads

    def content(self, name: str) -> Content:
        """Return it as what it is read by."""
        size = os.fstat(self._descriptor).st_size
        tag = folders.tag(self._descriptor)
        return Content(read=self._read, size=size, tag=tag, name=name, close=self._close)

    async def _read(self, start: int, length: int | None) -> AsyncGenerator[bytes, None]:
        assert length is not None
        run = asyncio.get_running_loop().run_in_executor
        end = start + length
        while start < end:
            wanted = min(_PIECE, end - start)
            piece = await run(self._threads, os.pread, self._descriptor, wanted, start)
            if not piece:
                raise errors.ServiceUnavailableError("the artifact has become shorter meanwhile")
            start += len(piece)
            yield piece

    async def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor != -1:
            os.close(descriptor)

"""The files behind URIs, through fsspec. Blocking: for threads, and for the program that stages.

fsspec and what it needs for a scheme are imported with the first use of one.
"""

import contextlib
import json
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wherry.metadata.artifacts import uris
from wherry.metadata.artifacts.providers import Keys, Provider, Providers

_NEEDED: Final = {
    "s3": "s3fs",
    "minio": "s3fs",
    "gs": "gcsfs",
    "http": "aiohttp",
    "https": "aiohttp",
}
_CONNECT_SECONDS: Final = 10
_READ_SECONDS: Final = 60
_MOST_FILES: Final = 1_000_000


class StorageError(Exception):
    """Files cannot be read or written; the message says which URI, and why."""


class MissingError(StorageError):
    """There is nothing at the URI, or at the path."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What was moved, or is there.

    Attributes:
        files: How many.
        size: Bytes, all together.
    """

    files: int
    size: int


class Storage:
    """Artifacts' files, wherever they are. For many threads."""

    def __init__(
        self,
        providers: Providers | None = None,
        keys: Keys | None = None,
        claims: Mapping[str, Path] | None = None,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            providers: How object stores are reached; by default as the environment says.
            keys: The values of the Secrets that these name.
            claims: Where claims are, by name; by default mounted below ``/pvc``.
        """
        self._providers = providers or Providers({})
        self._keys = keys or {}
        self._claims = claims or {}
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, Provider], Any] = {}

    def exists(self, uri: str) -> bool:
        """Return whether there is a file, or a folder with something in it.

        Raises:
            StorageError: it cannot be found out.
        """
        with _told(uri):
            system, path = self._at(uri)
            return bool(system.exists(path))

    def size(self, uri: str) -> Transfer:
        """Return how many files and bytes are there; where there is nothing, none.

        Raises:
            StorageError: it cannot be found out.
        """
        with _told(uri):
            sizes = self._files(uri).values()
            return Transfer(len(sizes), sum(sizes))

    def put(self, path: Path, uri: str) -> Transfer:
        """Upload a file, or a folder with all that is in it. It is whole afterwards, or this raises.

        Raises:
            MissingError: there is nothing at the path.
            StorageError: it could not be uploaded.
        """
        if not path.exists():
            raise MissingError(f"{path}: there is no such file or folder")
        with _told(uri):
            system, target = self._at(uri)
            local = {each: each.stat().st_size for each in _local_files(path)}
            if uris.is_direct(uri):
                _copy(path, Path(target))
            elif path.is_dir():
                names = [f"{target}/{each.relative_to(path).as_posix()}" for each in local]
                system.put([str(each) for each in local], names)
            else:
                system.put_file(str(path), target)
            return Transfer(len(local), sum(local.values()))

    def get(self, uri: str, path: Path) -> Transfer:
        """Download a file, or a folder; parent folders are made. It is whole afterwards, or this raises.

        Raises:
            MissingError: there is nothing at the URI.
            StorageError: it could not be downloaded.
        """
        with _told(uri):
            system, source = self._at(uri)
            files = self._files(uri)
            if not files and not (uris.is_direct(uri) and Path(source).is_dir()):
                raise MissingError(f"{uri}: there is nothing")
            path.parent.mkdir(parents=True, exist_ok=True)
            if uris.is_direct(uri):
                _copy(Path(source), path)
            else:
                _download(system, source, files, path)
            return Transfer(len(files), sum(files.values()))

    def read(self, uri: str, *, limit: int, offset: int = 0) -> bytes:
        """Return a file's bytes from an offset on, at most as many as the limit.

        Raises:
            MissingError: there is no such file.
            StorageError: it cannot be read.
        """
        with _told(uri):
            system, path = self._at(uri)
            if offset >= system.size(path):
                return b""
            return bytes(system.cat_file(path, start=offset, end=offset + limit))

    def write(self, uri: str, content: bytes) -> None:
        """Write a small file; parent folders are made.

        Raises:
            StorageError: it could not be written.
        """
        with _told(uri):
            system, path = self._at(uri)
            if not uris.is_direct(uri):
                system.pipe_file(path, content)
                return
            with _replacing(Path(path)) as draft:
                draft.write_bytes(content)

    def list(self, uri: str, *, limit: int = 1000) -> Sequence[tuple[str, int]]:
        """Return the URIs and sizes of the files at or below a URI, sorted, the first ones.

        Raises:
            StorageError: they cannot be listed.
        """
        with _told(uri):
            _, path = self._at(uri)
            bare = uri.partition("?")[0].rstrip("/")
            found = sorted(self._files(uri).items())[:limit]
            return [(bare + name.removeprefix(path.rstrip("/")), size) for name, size in found]

    def delete(self, uri: str) -> None:
        """Delete a file, or a folder with all that is in it. Nothing there: nothing is done.

        Raises:
            StorageError: it could not be deleted; or it is a whole bucket, claim or disk.
        """
        with _told(uri):
            if not uris.parse(uri).path.strip("/"):
                raise StorageError(f"{uri}: this is everything there is; name what to delete")
            system, path = self._at(uri)
            if not uris.is_direct(uri):
                names = list(self._files(uri))
                if names:
                    system.rm(names)
            else:
                _remove(Path(path))

    def _files(self, uri: str) -> dict[str, int]:
        """Return the sizes of the files at or below a URI by the names that its file system has."""
        system, path = self._at(uri)
        found = system.find(path, detail=True)
        if len(found) > _MOST_FILES:
            raise StorageError(f"{uri}: {len(found)} files; at most {_MOST_FILES} are handled")
        # A store may hold an object of no name for a folder.
        return {
            name: int(told["size"] or 0)
            for name, told in found.items()
            if told["type"] == "file" and not name.endswith("/")
        }

    def _at(self, uri: str) -> tuple[Any, str]:
        """Return the file system of a URI, and the name that it has there."""
        parsed = uris.parse(uri)
        if parsed.scheme == "file":
            return self._system("file", Provider()), parsed.path
        if parsed.scheme == "pvc":
            folder = self._claims.get(parsed.place, Path(uris.CLAIMS, parsed.place))
            return self._system("file", Provider()), str(folder / parsed.path)
        if parsed.scheme not in _NEEDED:
            raise StorageError(f"{uri}: an image is mounted, not copied")
        if parsed.scheme.startswith("http"):
            return self._system(parsed.scheme, Provider()), uri
        provider = self._providers.of(uri)
        return self._system(parsed.scheme, provider), f"{parsed.place}/{parsed.path}".rstrip("/")

    def _system(self, scheme: str, provider: Provider) -> Any:
        with self._lock:
            known = self._opened.get((scheme, provider))
            if known is None:
                known = self._opened[scheme, provider] = _filesystem(
                    scheme, provider, self._keys.get(provider.secret, {})
                )
            return known


@contextlib.contextmanager
def _told(uri: str) -> Iterator[None]:
    """Raise whatever goes wrong as what it is here."""
    try:
        yield
    except StorageError:
        raise
    except FileNotFoundError as error:
        raise MissingError(f"{uri}: there is nothing") from error
    except Exception as error:  # each file system has exceptions of its own
        raise StorageError(f"{uri}: {type(error).__name__}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (str(error).strip() or "no reason was given").splitlines()[0][:500]


def _filesystem(scheme: str, provider: Provider, keys: Mapping[str, str]) -> Any:
    import fsspec  # type: ignore[import-untyped] # noqa: PLC0415 - see the module's docstring

    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if scheme in ("s3", "minio"):
        options |= _s3_options(provider, keys)
    elif scheme == "gs":
        token = keys.get(provider.token_key)
        options |= {"token": json.loads(token)} if token else {}
        options |= {"endpoint_url": provider.url} if provider.url else {}
    try:
        return fsspec.filesystem({"minio": "s3", "gs": "gcs"}.get(scheme, scheme), **options)
    except ImportError as error:
        raise StorageError(
            f"{scheme}:// needs the package {_NEEDED[scheme]}, which is not installed: {error}"
        ) from error


def _s3_options(provider: Provider, keys: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {
        "config_kwargs": {
            "s3": {"addressing_style": "path" if provider.path_style else "auto"},
            "retries": {"max_attempts": provider.retries},
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
        }
    }
    if provider.secret:
        missing = [key for key in provider.keys if not keys.get(key)]
        if missing:
            raise StorageError(f"Secret {provider.secret}: it has no {', '.join(missing)}")
        options |= {"key": keys[provider.access_key], "secret": keys[provider.secret_key]}
    if provider.url:
        options["endpoint_url"] = provider.url
        # Other servers than Amazon's do not know its newer checksums, or get those of parts wrong.
        options["config_kwargs"] |= {
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
    if provider.region:
        options["client_kwargs"] = {"region_name": provider.region}
    return options


def _download(system: Any, source: str, files: Mapping[str, int], path: Path) -> None:
    with _replacing(path) as draft:
        if list(files) == [source]:
            system.get_file(source, str(draft))
            got = {source: draft}
        else:
            got = {name: draft / name.removeprefix(source).lstrip("/") for name in files}
            for folder in {target.parent for target in got.values()}:
                folder.mkdir(parents=True, exist_ok=True)
            system.get(list(got), [str(target) for target in got.values()])
        for name, target in got.items():
            size = target.stat().st_size
            if size != files[name]:
                raise StorageError(f"{name}: {size} bytes came, and it has {files[name]}")


def _local_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(each for each in path.rglob("*") if each.is_file())


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a folder on this machine."""
    if source.resolve() == target.resolve():
        return
    with _replacing(target) as draft:
        if source.is_dir():
            shutil.copytree(source, draft)
        else:
            shutil.copyfile(source, draft)


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Give a name beside a path; what is there at the end takes its place at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield draft
        if draft.is_dir() or target.is_dir():
            # A folder takes no other's place by itself.
            _remove(target)
        draft.replace(target)
    finally:
        _remove(draft)


def _remove(path: Path) -> None:
    """Delete a file or folder; of a link not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""The files behind URIs, through fsspec. Blocking: for threads, and for the program that stages.

fsspec and what it needs for a scheme are imported with the first use of one.
"""

import contextlib
import importlib
import json
import shutil
import tempfile
import threading
import uuid
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wherry.metadata.artifacts import uris
from wherry.metadata.artifacts.providers import Keys, Provider, Providers, Reference

NEEDED: Final = {
    "s3": "s3fs",
    "minio": "s3fs",
    "gs": "gcsfs",
    "http": "aiohttp",
    "https": "aiohttp",
}
"""The package that fsspec needs for a scheme; the others need none."""
_S3: Final = ("s3", "minio")
_NO_CONSTRAINT: Final = ("us-east-1", "aws-global")
"""Regions in which a bucket is made that names none."""
_CONNECT_SECONDS: Final = 10
_READ_SECONDS: Final = 60
_MOST_FILES: Final = 1_000_000
_PART_BYTES: Final = 16 * 1024**2
_PARTS_AT_ONCE: Final = 4
_MOST_PARTS: Final = 10_000
"""Of a file, for S3."""
_MOVED_AT_ONCE: Final = 256 * 1024**2
"""Bytes of a folder's files that are in memory; the libraries' own settings come to gigabytes."""
_MOST_AT_ONCE: Final = 64
"""Files of a folder."""


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
        *,
        ambient: bool = True,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            providers: How object stores are reached; by default as the environment says.
            keys: The values of the Secrets that these name.
            claims: Where claims are, by name; by default mounted below ``/pvc``.
            ambient: Whether the keys of this process' surroundings are used where the settings name
                none; else stores are asked without.
        """
        self._providers = providers or Providers({})
        self._keys = keys or {}
        self._claims = claims or {}
        self._ambient = ambient
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, Provider], Any] = {}
        self._made: set[tuple[Provider, str]] = set()

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
            system, target = self._at_new(uri)
            local = {each: each.stat().st_size for each in _local_files(path)}
            if uris.is_direct(uri):
                _copy(path, Path(target))
            elif path.is_dir():
                names = [f"{target}/{each.relative_to(path).as_posix()}" for each in local]
                largest = max(local.values(), default=0)
                batch, parts = _at_once(largest), _parts(uri, largest)
                system.put([str(each) for each in local], names, batch_size=batch, **parts)
            else:
                system.put_file(str(path), target, **_parts(uri, local[path]))
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
                largest = max(files.values(), default=0)
                _download(system, source, files, path, parts=_parts(uri, largest))
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
            system, path = self._at_new(uri)
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
        if parsed.scheme not in NEEDED:
            raise StorageError(f"{uri}: an image is mounted, not copied")
        if parsed.scheme.startswith("http"):
            return self._system(parsed.scheme, Provider()), uri
        provider = self._providers.of(uri)
        return self._system(parsed.scheme, provider), f"{parsed.place}/{parsed.path}".rstrip("/")

    def _at_new(self, uri: str) -> tuple[Any, str]:
        """Return what `_at` does for what is to be written; its bucket is made where that is wanted."""
        system, path = self._at(uri)
        parsed = uris.parse(uri)
        if parsed.scheme not in _S3:
            return system, path
        provider = self._providers.of(uri)
        with self._lock:
            wanted = provider.create_bucket and (provider, parsed.place) not in self._made
        if wanted:
            _make_bucket(system, parsed.place, provider)
            with self._lock:
                self._made.add((provider, parsed.place))
        return system, path

    def _system(self, scheme: str, provider: Provider) -> Any:
        with self._lock:
            known = self._opened.get((scheme, provider))
            if known is None:
                known = self._opened[scheme, provider] = _filesystem(
                    scheme, self._options(scheme, provider)
                )
            return known

    def _options(self, scheme: str, provider: Provider) -> dict[str, Any]:
        if scheme == "gs":
            token = self._keys.get(provider.secret, {}).get(provider.token_key)
            return _google_options(token, ambient=self._ambient) | (
                {"endpoint_url": provider.url} if provider.url else {}
            )
        if scheme not in _S3:
            return {}
        anonymous = {} if self._ambient or provider.secret else {"anon": True}
        options = _s3_options(provider, self._keys) | anonymous
        if provider.ca is not None:
            options.setdefault("client_kwargs", {})["verify"] = self._file(
                _value(self._keys, provider.ca)
            )
        return options

    def _file(self, text: str) -> str:
        """Return the path of a file for a library that takes no texts; it goes with this."""
        with tempfile.NamedTemporaryFile("w", prefix="wherry-", delete=False) as file:
            file.write(text)
        weakref.finalize(self, Path(file.name).unlink, missing_ok=True)
        return file.name


def inner_name(name: str, folder: str) -> str:
    """Return what a file of a store is called within a folder.

    Raises:
        StorageError: it leads out of that: stores take any name.
    """
    inner = name.removeprefix(folder).lstrip("/")
    if ".." in inner.split("/"):
        raise StorageError(f"{name[:200]!r} goes up (..): it cannot be a file in a folder")
    return inner


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


def _filesystem(scheme: str, options: Mapping[str, Any]) -> Any:
    import fsspec  # type: ignore[import-untyped] # noqa: PLC0415 - see the module's docstring

    options = {"use_listings_cache": False, "skip_instance_cache": True, **options}
    try:
        if scheme == "gs" and "endpoint_url" in options:
            # The usual class asks by gRPC what kind of bucket it is, which only Google's servers answer:
            # others would be waited for for a minute, each time.
            return importlib.import_module("gcsfs.core").GCSFileSystem(**options)
        return fsspec.filesystem({"minio": "s3", "gs": "gcs"}.get(scheme, scheme), **options)
    except ImportError as error:
        raise StorageError(
            f"{scheme}:// needs the package {NEEDED[scheme]}, which is not installed: {error}"
        ) from error


def _google_options(token: str | None, *, ambient: bool) -> dict[str, Any]:
    if not token:
        return {} if ambient else {"token": "anon"}
    try:
        found = json.loads(token)
    except ValueError as error:
        raise StorageError(f"the account's token is no JSON: {error}") from error
    if not ambient and not isinstance(found, dict):
        # Words such as "cloud" would mean the keys of our surroundings, others a file of ours.
        raise StorageError(
            "the account's token: want the JSON object that Google gives for an account"
        )
    return {"token": found}


def _value(keys: Keys, reference: Reference) -> str:
    name, key = reference
    if not key:
        raise StorageError(
            f"Secret {name}: accessKeyKey and secretKeyKey have to say where in it the keys are"
        )
    found = keys.get(name, {}).get(key)
    if not found:
        raise StorageError(f"Secret {name}: it has no {key}")
    return found


def _s3_options(provider: Provider, keys: Keys) -> dict[str, Any]:
    options: dict[str, Any] = {
        "config_kwargs": {
            "s3": {"addressing_style": "path" if provider.path_style else "auto"},
            "retries": {"max_attempts": provider.retries},
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
        }
    }
    if provider.secret:
        named = {"key": provider.access_key, "secret": provider.secret_key}
        options |= {name: _value(keys, (provider.secret, key)) for name, key in named.items()}
    if provider.session_token is not None:
        options["token"] = _value(keys, provider.session_token)
    if provider.encryption:
        options["s3_additional_kwargs"] = dict(provider.encryption)
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


def _make_bucket(system: Any, bucket: str, provider: Provider) -> None:
    """Make a bucket of S3 where there is none; what is asked for each object is its default then."""
    # Asked first: where a bucket is made anew that is one's own, Amazon's oldest region resets its rights.
    try:
        system.call_s3("head_bucket", Bucket=bucket)
    except FileNotFoundError:
        is_hidden = False
    except PermissionError:
        is_hidden = True
    else:
        return
    asked: dict[str, Any] = {"Bucket": bucket}
    if provider.object_locking:
        asked["ObjectLockEnabledForBucket"] = True
    region = system.s3.meta.region_name
    if region not in _NO_CONSTRAINT:
        asked["CreateBucketConfiguration"] = {"LocationConstraint": region}
    try:
        system.call_s3("create_bucket", **asked)
        if provider.encryption:
            rule = {"ApplyServerSideEncryptionByDefault": _default_encryption(provider)}
            told = {"Rules": [rule]}
            system.call_s3(
                "put_bucket_encryption", Bucket=bucket, ServerSideEncryptionConfiguration=told
            )
    except FileExistsError:
        return  # somebody else was faster
    except OSError as error:
        # Whoever may neither look nor make may still be allowed to write to it.
        if not (is_hidden and isinstance(error, PermissionError)):
            raise StorageError(f"bucket {bucket} cannot be made: {_reason(error)}") from error


def _default_encryption(provider: Provider) -> dict[str, str]:
    names = {"ServerSideEncryption": "SSEAlgorithm", "SSEKMSKeyId": "KMSMasterKeyID"}
    return {names[name]: value for name, value in provider.encryption if name in names}


def _parts(uri: str, size: int) -> dict[str, int]:
    """Return in what parts a file of a size is moved, where that can be said."""
    if uris.parse(uri).scheme not in _S3:
        return {}
    part = max(_PART_BYTES, -(-size // _MOST_PARTS))
    return {"chunksize": part, "max_concurrency": _PARTS_AT_ONCE}


def _at_once(size: int) -> int:
    """Return how many files may be moved at once, the largest of which has a size."""
    held = min(size, _PART_BYTES * _PARTS_AT_ONCE)
    return min(_MOST_AT_ONCE, _MOVED_AT_ONCE // max(held, 1))


def _download(
    system: Any, source: str, files: Mapping[str, int], path: Path, *, parts: Mapping[str, int]
) -> None:
    with _replacing(path) as draft:
        if list(files) == [source]:
            system.get_file(source, str(draft), **parts)
            got = {source: draft}
        else:
            got = {name: draft / inner_name(name, source) for name in files}
            for folder in {target.parent for target in got.values()}:
                folder.mkdir(parents=True, exist_ok=True)
            batch = _at_once(max(files.values(), default=0))
            targets = [str(target) for target in got.values()]
            system.get(list(got), targets, batch_size=batch, **parts)
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

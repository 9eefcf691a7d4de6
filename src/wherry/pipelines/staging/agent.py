"""Brings artifacts to a step and away from it; runs beside the step, in its pod.

    python -m wherry.pipelines.staging.agent fetch
    python -m wherry.pipelines.staging.agent deliver READY
    python -m wherry.pipelines.staging.agent remove

What is to be done stands in the variable WHERRY_STAGE, how stores are reached in those that
`wherry.metadata.artifacts.providers` writes. `deliver` waits to be told to end, which the step's end
does; it makes the file READY once it can be told. Its last words are one line of JSON after `MARK`.
"""

import contextlib
import functools
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from wherry.metadata.artifacts import providers, uris
from wherry.metadata.artifacts.storage import MissingError, Storage, StorageError

MARK: Final = "wherry-outputs: "
VARIABLE: Final = "WHERRY_STAGE"
LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a file of outputs that are read."""
_MOST_FILES: Final = 1_000_000
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 2.0
_ANYONE: Final = 0o777
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_Part = Mapping[str, Any]


class TooLargeError(Exception):
    """A step has written more than is read; the message says what and how much."""


def main(words: Sequence[str]) -> int:
    """Do what the first word says; return the exit code, having said why where it is not 0."""
    told = json.loads(os.environ[VARIABLE])
    found, keys = providers.from_environment(os.environ)
    storage = Storage(found, keys)
    try:
        if words[0] == "fetch":
            fetch(storage, told["inputs"])
        elif words[0] == "remove":
            remove(storage, told["remove"], told["keep"])
        else:
            _make_folders(told)
            wait(Path(words[1]))
            sys.stdout.write(f"{MARK}{json.dumps(deliver(storage, told))}\n")
    except (StorageError, uris.UriError, TooLargeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def fetch(storage: Storage, inputs: Sequence[_Part]) -> None:
    """Bring inputs to where the step looks for them.

    Raises:
        StorageError: one cannot be had.
    """
    for each in inputs:
        again(functools.partial(storage.get, each["uri"], Path(each["path"])))


def remove(storage: Storage, gone: Sequence[str], keep: Sequence[str]) -> None:
    """Remove what is at URIs or below them, but for what is at or below others.

    Raises:
        StorageError: something cannot be removed.
    """
    for uri in gone:
        if not any(uris.is_below(each, uri) for each in keep):
            again(functools.partial(storage.delete, uri))
            continue
        for name, _ in storage.list(uri, limit=_MOST_FILES):
            if not any(uris.is_below(name, each) for each in keep):
                again(functools.partial(storage.delete, name))


def deliver(storage: Storage, told: _Part) -> dict[str, Any]:
    """Bring outputs to where they are kept, and return what the step has written of them.

    Raises:
        StorageError: one cannot be stored.
        TooLargeError: the step has written too much beside its artifacts.
    """
    metadata = _written(told["metadata"])
    parameters = {name: _written(path) for name, path in told["parameters"].items()}
    files = []
    for name, uri, path in _outputs(told["outputs"], metadata):
        if not Path(path).exists():
            continue
        if not uris.is_direct(uri):
            check_links(Path(path), _mounted(Path(path)))
            again(functools.partial(storage.put, Path(path), uri))
        files.append(name)
    found = {name: content for name, content in parameters.items() if content is not None}
    return {"metadata": metadata, "parameters": found, "files": sorted(set(files))}


def text(path: Path, within: Path) -> str | None:
    """Return what a step has written into a small file; None: there is none.

    Args:
        path: Of the file.
        within: Folder above it that a step cannot put something else in place of. Below it no link is
            followed: it would let a step have files read that are not its own.

    Raises:
        TooLargeError: it is not small.
        OSError: it cannot be read, or there is a link on the way to it.
    """
    with contextlib.ExitStack() as opened:
        try:
            descriptor = _opened(path, within, opened)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise TooLargeError(
            f"{path.name} has more than {LARGEST} bytes, which is what is read: "
            "pass large values as artifacts"
        )
    return content.decode(errors="replace")


def _opened(path: Path, within: Path, opened: contextlib.ExitStack) -> int:
    """Return the descriptor of a file, reached step by step: what is looked at is what is opened."""
    *folders, name = path.relative_to(within).parts
    at = os.open(within, _FOLDER)
    opened.callback(os.close, at)
    for part, flags in [*((each, _FOLDER | os.O_NOFOLLOW) for each in folders), (name, _FILE)]:
        at = os.open(part, flags, dir_fd=at)
        opened.callback(os.close, at)
    return at


def _written(path: str) -> str | None:
    return text(Path(path), _mounted(Path(path)))


def _mounted(path: Path) -> Path:
    """Return the folder above a path that is mounted: ``/s3``, ``/gcs``, or a claim, ``/pvc/NAME``."""
    return Path(*path.parts[: 3 if path.is_relative_to(uris.CLAIMS) else 2])


def check_links(path: Path, within: Path) -> None:
    """Refuse outputs that are elsewhere: this container's files are not the step's to give away.

    Args:
        path: A file or folder of the step's.
        within: The folder above it that both share.

    Raises:
        StorageError: a link leads out of that.
    """
    shared = within.resolve()
    for each in (path, *path.rglob("*")):
        if (each is path or each.is_symlink()) and not each.resolve().is_relative_to(shared):
            raise StorageError(
                f"{each}: a link to {each.resolve()}, which is not among the outputs: copy it there"
            )


def _outputs(planned: Sequence[_Part], metadata: str | None) -> list[tuple[str, str, str]]:
    """Return name, URI and path of each output: as the step says, else as it was planned."""
    try:
        said = json.loads(metadata or "{}").get("artifacts") or {}
    except (ValueError, AttributeError):
        said = {}  # told when the outputs are read
    found = []
    for each in planned:
        actual = [part.get("uri") for part in (said.get(each["name"]) or {}).get("artifacts") or ()]
        chosen = [uri for uri in actual if uri] or [each["uri"]]
        found += [(each["name"], uri, uris.path(uri)) for uri in map(uris.normal, chosen)]
    return found


def again(work: Callable[[], object]) -> None:
    """Do something with a store, and do it again where that fails for now.

    Raises:
        StorageError: it fails each time.
    """
    for left in range(_TRIES, 0, -1):
        try:
            work()
        except MissingError:
            raise
        except StorageError as error:
            if left == 1:
                raise
            sys.stderr.write(f"{error}; trying again\n")
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _make_folders(told: _Part) -> None:
    """Make the folders that a step writes its outputs into; it may run as any user."""
    for path in (told["metadata"], *told["parameters"].values()):
        folder = Path(path).parent
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(_ANYONE)


def wait(ready: Path) -> None:
    """Return when this is told to end; make a file once it can be."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    ready.touch()
    signal.sigwait({signal.SIGTERM})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    # Told once more, it goes on: the end of the grace period is the end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

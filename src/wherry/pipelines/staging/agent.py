"""Brings artifacts to a step and away from it; runs beside the step, in its pod.

    python -m wherry.pipelines.staging.agent fetch
    python -m wherry.pipelines.staging.agent deliver READY

What is to be done stands in the variable WHERRY_STAGE, how stores are reached in those that
`wherry.metadata.artifacts.providers` writes. `deliver` waits to be told to end, which the step's end
does; it makes the file READY once it can be told. Its last words are one line of JSON after `MARK`.
"""

import functools
import json
import os
import signal
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
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 2.0
_ANYONE: Final = 0o777

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
        else:
            _make_folders(told)
            _wait(Path(words[1]))
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
        _again(functools.partial(storage.get, each["uri"], Path(each["path"])))


def deliver(storage: Storage, told: _Part) -> dict[str, Any]:
    """Bring outputs to where they are kept, and return what the step has written of them.

    Raises:
        StorageError: one cannot be stored.
        TooLargeError: the step has written too much beside its artifacts.
    """
    metadata = text(Path(told["metadata"]))
    parameters = {name: text(Path(path)) for name, path in told["parameters"].items()}
    files = []
    for name, uri, path in _outputs(told["outputs"], metadata):
        if not Path(path).exists():
            continue
        if not uris.is_direct(uri):
            _again(functools.partial(storage.put, Path(path), uri))
        files.append(name)
    found = {name: content for name, content in parameters.items() if content is not None}
    return {"metadata": metadata, "parameters": found, "files": sorted(set(files))}


def text(path: Path) -> str | None:
    """Return what a step has written into a small file; None: there is none.

    Raises:
        TooLargeError: it is not small.
        OSError: it cannot be read.
    """
    # Links would let a step have files read that are not its own.
    if path.is_symlink() or not path.is_file():
        return None
    size = path.stat().st_size
    if size > LARGEST:
        raise TooLargeError(
            f"{path.name} has {size} bytes; at most {LARGEST} are read: pass large values as artifacts"
        )
    return path.read_text(errors="replace")


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


def _again(work: Callable[[], object]) -> None:
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


def _wait(ready: Path) -> None:
    """Return when this is told to end; make a file once it can be."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    ready.touch()
    signal.sigwait({signal.SIGTERM})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    # Told once more, it goes on: the end of the grace period is the end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

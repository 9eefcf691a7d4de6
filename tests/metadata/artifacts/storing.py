"""Does with `Storage` what standard input says, in an environment that has s3fs: a list of calls as JSON.

Prints what each has returned, or ``{"error": [type, message]}``.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path

from wherry.metadata.artifacts import providers
from wherry.metadata.artifacts.storage import Storage, StorageError


def _do(storage, name, *words):
    if name in ("put", "get"):
        first, second = words
        given = (Path(first), second) if name == "put" else (first, Path(second))
        return dataclasses.asdict(getattr(storage, name)(*given))
    if name == "size":
        return dataclasses.asdict(storage.size(*words))
    if name == "read":
        return storage.read(words[0], offset=words[1], limit=words[2]).decode()
    if name == "plant":
        # As other clients may call a file.
        system, bucket = storage._at(words[0])
        return system.pipe_file(f"{bucket}/{words[1]}", words[2].encode())
    if name == "write":
        return storage.write(words[0], words[1].encode())
    return getattr(storage, name)(*words)


def _told(storage, call):
    try:
        return _do(storage, *call)
    except StorageError as error:
        return {"error": [type(error).__name__, str(error)]}


if __name__ == "__main__":
    known, keys = providers.from_environment(os.environ)
    with_keys = Storage(known, keys)
    sys.stdout.write(json.dumps([_told(with_keys, call) for call in json.load(sys.stdin)]))

"""The names of processes at the launcher.

They derive from what the API says (pod uid, container, attempt) and nothing else, so that a new
agent finds the processes of its predecessor, and the same attempt cannot be started twice.
"""

import re
from typing import NamedTuple

_PATTERN = re.compile(
    r"([a-zA-Z0-9-]{1,64})_([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)_(0|[1-9][0-9]{0,9})"
)


class ProcessName(NamedTuple):
    """What a process is an attempt of."""

    uid: str
    container: str
    attempt: int


def make(uid: str, container: str, attempt: int) -> str:
    """Return the launcher's id.

    Raises:
        ValueError: a part is not what the API would have accepted.
    """
    text = f"{uid}_{container}_{attempt}"
    if not _PATTERN.fullmatch(text):
        raise ValueError(f"{text!r} cannot name a process: want <pod uid>_<container>_<attempt>")
    return text


def parse(text: str) -> ProcessName | None:
    """Return the parts of an id, None where it is not one of ours."""
    match = _PATTERN.fullmatch(text)
    return ProcessName(match[1], match[2], int(match[4])) if match else None

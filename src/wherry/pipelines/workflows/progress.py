"""How far a node is: ``N/M``, so many of so many. Pure.

Source: argo-workflows after 4.1.2, ``pkg/apis/workflow/v1alpha1/progress.go``.
"""

import re
from typing import Final, NamedTuple

_WRITTEN: Final = re.compile(r"\s*(\d{1,18})/(\d{1,18})\s*", re.ASCII)


class Progress(NamedTuple):
    """How far a node is.

    Attributes:
        done: How much is done.
        total: Of how much.
    """

    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.done}/{self.total}"


BEGUN: Final = Progress(0, 1)
"""Of a step that says nothing."""


def read(text: object) -> Progress | None:
    """Return what a text says; None: it is no progress: ``N/M``, neither negative, M not 0, N at most M."""
    found = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    made = Progress(int(found[1]), int(found[2]))
    return made if 0 < made.total >= made.done else None

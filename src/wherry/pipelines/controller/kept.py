"""Where what is known of runs is kept."""

from dataclasses import dataclass

from wherry.metadata.store import Metadata
from wherry.pipelines.history.logs import Logs
from wherry.pipelines.history.store import History


@dataclass(frozen=True, slots=True)
class Kept:
    """Where what is known of runs is kept.

    Attributes:
        tasks: Their tasks and artifacts.
        history: The runs themselves.
        logs: What their steps have said.
    """

    tasks: Metadata
    history: History
    logs: Logs

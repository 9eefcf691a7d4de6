"""What an artifact came from and what became of it. Pure."""

from dataclasses import dataclass

from wherry.metadata.records import Artifact, Event, Execution


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A part of the graph of executions and artifacts.

    Attributes:
        artifacts: In it, by id.
        executions: In it, by id; without their artifacts (see `events`).
        events: Between them.
        complete: False: there is more beyond the limits that were asked for.
    """

    artifacts: dict[int, Artifact]
    executions: dict[int, Execution]
    events: tuple[Event, ...]
    complete: bool

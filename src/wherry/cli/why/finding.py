"""What the walk finds: a statement about an object, the evidence for it, the mend, the causes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

State = Literal["fine", "waiting", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One link of the chain.

    Attributes:
        object: What it is about, e.g. ``pod/web-0``.
        statement: What is so, a clause without full stop.
        state: ``fine``, ``waiting`` (it may come right by itself) or ``failed``.
        evidence: What shows it: messages, numbers, lines of a log.
        mend: What to do about it; empty where a cause below has it, or nothing is to be done.
        causes: What this comes from, the likeliest first.
    """

    object: str
    statement: str
    state: State = "failed"
    evidence: tuple[str, ...] = ()
    mend: str = ""
    causes: tuple["Finding", ...] = ()

    @property
    def holds_back(self) -> bool:
        """Whether something is not as it should be."""
        return self.state != "fine"

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON has it, causes within."""
        return {
            "object": self.object,
            "statement": self.statement,
            "state": self.state,
            "evidence": list(self.evidence),
            "mend": self.mend,
            "causes": [cause.to_dict() for cause in self.causes],
        }

    def lines(self) -> Iterator["Finding"]:
        """Yield this finding and all below it, from the top down."""
        yield self
        for cause in self.causes:
            yield from cause.lines()


def fine(name: str, statement: str, *evidence: str) -> Finding:
    """Return the finding that an object is as it should be."""
    return Finding(name, statement, "fine", evidence)


def worst(findings: Iterable[Finding]) -> State:
    """Return the worst state among findings."""
    states = {finding.state for finding in findings}
    if "failed" in states:
        return "failed"
    return "waiting" if "waiting" in states else "fine"


def grouped(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return one finding for each that is held back, those that say the same told once.

    Objects that differ only in their name (the pods of one ReplicaSet) have one cause.
    """
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        if finding.holds_back:
            said = tuple(line.statement for line in finding.lines())
            groups.setdefault(said, []).append(finding)
    told = []
    for group in sorted(groups.values(), key=len, reverse=True):
        more = len(group) - 1
        statement = group[0].statement + (f" (and {more} more alike)" if more else "")
        told.append(replace(group[0], statement=statement))
    return tuple(told)

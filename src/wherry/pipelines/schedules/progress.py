"""How far a schedule is: what its status says, and what it is to say. Pure."""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import kinds as run_kinds
from wherry.pipelines import status, workflow_runs
from wherry.pipelines.schedules import kinds

_DIGEST: Final = 16
_EPOCH_LENGTH: Final = 11
_MESSAGE: Final = 500

_Part = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a schedule is.

    Attributes:
        last: The last slot that was run.
        index: How many were.
        counts_from: Since when slots count, where the trigger has changed after the last one.
        observed: Digest of the trigger that this speaks of; empty: none was looked at yet.
    """

    last: datetime.datetime | None = None
    index: int = 0
    counts_from: datetime.datetime | None = None
    observed: str = ""

    @classmethod
    def of(cls, schedule: Object) -> "Progress":
        """Read a schedule's status."""
        told: _Part = (schedule.get("status") or {}).get("trigger") or {}
        return cls(
            last=_time(told.get("lastTriggeredTime")),
            index=int(told.get("lastWorkflowIndex") or 0),
            counts_from=_time(told.get("countsFrom")),
            observed=told.get("observedTrigger") or "",
        )

    @property
    def after(self) -> datetime.datetime | None:
        """The time after which the next slot is; None: the trigger says itself where it begins."""
        return self.counts_from or self.last

    def changed(
        self, observed: str, since: datetime.datetime, now: datetime.datetime
    ) -> "Progress":
        """Return how far it is with another trigger.

        Args:
            observed: Digest of that.
            since: When it was written. Before the last slot: what has changed is how it is read, and
                nothing is made up for.
            now: The time. A last slot that is to come is one of a clock that was wrong.
        """
        went_on = self.after is not None and since <= self.after <= now
        counts_from = self.counts_from if went_on else since
        return dataclasses.replace(self, observed=observed, counts_from=counts_from)

    def seeing(self, runs: Iterable[Object]) -> "Progress":
        """Return how far it is, given its runs: one may have been made that nobody lived to note."""
        made = [(slot, run) for run in runs if (slot := slot_of(run)) is not None]
        slot, run = max(made, key=lambda each: each[0], default=(None, None))
        if slot is None or run is None or (self.after is not None and slot <= self.after):
            return self
        return dataclasses.replace(self.fired(slot), index=max(index_of(run), self.index))

    def fired(self, slot: datetime.datetime) -> "Progress":
        """Return how far it is once a slot was run."""
        return Progress(last=slot, index=self.index + 1, observed=self.observed)

    def to_dict(self, following: datetime.datetime | None) -> Object:
        """Return `status.trigger`.

        Args:
            following: The next slot.
        """
        told = {
            "lastTriggeredTime": _text(self.last),
            "nextTriggeredTime": _text(following),
            "lastWorkflowIndex": self.index,
            "countsFrom": _text(self.counts_from),
            "observedTrigger": self.observed,
        }
        return {name: value for name, value in told.items() if value}


def digest(trigger: _Part, zone: str) -> str:
    """Return a short text that differs where triggers do.

    Args:
        trigger: `spec.trigger`.
        zone: In which cron texts are read that say no other.
    """
    text = json.dumps([trigger, zone], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


def changed_at(schedule: Object) -> datetime.datetime | None:
    """Return when a schedule's trigger was written last, as the API has noted; None: it has not."""
    entries = schedule["metadata"].get("managedFields") or ()
    times = [
        _time(entry.get("time"))
        for entry in entries
        if "f:trigger" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return max((time for time in times if time is not None), default=None)


def is_active(run: Object) -> bool:
    """Return whether a run has not ended."""
    return _state(run) not in run_kinds.FINAL_STATES


def _state(run: Object) -> str:
    return workflow_runs.state(run) if workflow_runs.is_workflow(run) else status.state(run)


def slot_of(run: Object) -> datetime.datetime | None:
    """Return the slot that a run is for; None: it does not say."""
    epoch = metadata.labels(run).get(kinds.EPOCH_LABEL, "")
    if not epoch.isdecimal() or len(epoch) > _EPOCH_LENGTH:
        return None
    return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC)


def index_of(run: Object) -> int:
    """Return a run's number among those of its schedule; 0: it does not say."""
    index = metadata.labels(run).get(kinds.INDEX_LABEL, "")
    return int(index) if index.isdecimal() else 0


def history(runs: Iterable[Object], most: int) -> Object:
    """Return `status.workflowHistory`.

    Args:
        runs: All runs of the schedule.
        most: How many that have ended are told of.
    """
    latest_first = sorted(runs, key=_slot, reverse=True)
    active = [_told(run) for run in latest_first if is_active(run)]
    completed = [_told(run) for run in latest_first if not is_active(run)][:most]
    told: dict[str, Sequence[Object]] = {"active": active, "completed": completed}
    return {name: listed for name, listed in told.items() if listed}


def beyond(runs: Iterable[Object], most: int, before: datetime.datetime) -> list[Object]:
    """Return runs whose objects nobody needs any more, the oldest first.

    Args:
        runs: All runs of the schedule.
        most: So many of those that have ended stay, and one in any case.
        before: The last slot that the stored status knows of: later runs say how far the schedule is.
    """
    latest_first = sorted(runs, key=_slot, reverse=True)
    over = [run for run in latest_first if not is_active(run)][max(most, 1) :]
    return [run for run in reversed(over) if _is_settled(run, before)]


def _is_settled(run: Object, before: datetime.datetime) -> bool:
    slot = slot_of(run)
    told_more = status.retry_wanted(run) or metadata.is_deleting(run)
    return slot is not None and slot < before and not told_more


def _told(run: Object) -> Object:
    fields, seen = run["metadata"], run.get("status") or {}
    told = {
        "name": fields["name"],
        "namespace": fields.get("namespace"),
        "uid": fields.get("uid"),
        "phase": _state(run),
        "message": str(seen.get("message") or "")[:_MESSAGE],
        "createdAt": fields.get("creationTimestamp"),
        "startedAt": seen.get("startTime") or seen.get("startedAt"),
        "finishedAt": seen.get("completionTime") or seen.get("finishedAt"),
        "scheduledAt": metadata.annotations(run).get(run_kinds.SCHEDULED_ANNOTATION),
        "index": index_of(run),
    }
    return {name: value for name, value in told.items() if value}


def _slot(run: Object) -> tuple[str, str]:
    return metadata.annotations(run).get(run_kinds.SCHEDULED_ANNOTATION, ""), metadata.name(run)


def _time(text: str | None) -> datetime.datetime | None:
    return metadata.parse_time(text) if text else None


def _text(time: datetime.datetime | None) -> str | None:
    return metadata.format_time(time) if time is not None else None

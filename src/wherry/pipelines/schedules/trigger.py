"""Which times a schedule has, and which of them is due. Pure.

A slot is a time at which a run is to begin. Slots follow from the trigger alone, whoever asks and
whenever: that is why none is run twice and none forgotten. Source: kubeflow/pipelines
``backend/src/crd/controller/scheduledworkflow/util`` (what comes first, what ends, what catches up).
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from wherry.objects import metadata
from wherry.pipelines.schedules.cron import Cron

MOST_COUNTED: Final = 100
"""Slots that were passed over are counted up to one more than this."""

_Part = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be run now.

    Attributes:
        slot: Its time.
        skipped: How many slots before it are left out; at most one more than `MOST_COUNTED`.
    """

    slot: datetime.datetime
    skipped: int = 0


class Times(Protocol):
    """Times without end."""

    def next(self, after: datetime.datetime) -> datetime.datetime | None:
        """Return the first one later than a given time, in UTC; None: there is none."""
        ...

    def last(self, known: datetime.datetime, until: datetime.datetime) -> datetime.datetime:
        """Return the last one that is no later than a given time.

        Args:
            known: One that is no later.
            until: The time.
        """
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Times at a distance from one another.

    Attributes:
        interval: The distance.
        start: They are counted from it; None: from the time that one asks for.
    """

    interval: datetime.timedelta
    start: datetime.datetime | None = None

    def next(self, after: datetime.datetime) -> datetime.datetime:
        """Return the first one later than a given time."""
        if self.start is None:
            return after + self.interval
        return self.start + ((after - self.start) // self.interval + 1) * self.interval

    def last(self, known: datetime.datetime, until: datetime.datetime) -> datetime.datetime:
        """Return the last one that is no later than a given time."""
        return known + (until - known) // self.interval * self.interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """When a schedule is due.

    Attributes:
        created: When the schedule was made.
        times: Its times; None: it is due once, when it is made.
        start: Slots are later.
        end: No slot is later.
    """

    created: datetime.datetime
    times: Times | None = None
    start: datetime.datetime | None = None
    end: datetime.datetime | None = None

    @classmethod
    def of(cls, trigger: _Part, created: datetime.datetime, zone: str = "") -> "Trigger":
        """Read `spec.trigger`.

        Args:
            trigger: As it stands there.
            created: When its object was.
            zone: In which cron texts are read that say no other.

        Raises:
            ValueError: there is something wrong with it.
        """
        timed, periodic = trigger.get("cronSchedule"), trigger.get("periodicSchedule")
        told = timed or periodic
        if not told:
            return cls(created=created)
        start, end = _time(told.get("startTime")), _time(told.get("endTime"))
        times: Times = (
            Cron.parse(timed.get("cron") or "", timed.get("timeZone") or zone)
            if timed
            else Every(datetime.timedelta(seconds=int(told.get("intervalSecond") or 1)), start)
        )
        return cls(created=created, times=times, start=start, end=end)

    def next(self, after: datetime.datetime | None) -> datetime.datetime | None:
        """Return the first slot after a time.

        Args:
            after: The last slot that was run, or since when slots count; None: neither.

        Returns:
            A whole second, in UTC; None: there is none.
        """
        if self.times is None:
            return self.created if after is None else None
        before = after or self.start or self.created
        slot = self.times.next(max(before, self.start or before))
        return slot if slot is not None and (self.end is None or slot <= self.end) else None

    def due(
        self, after: datetime.datetime | None, now: datetime.datetime, *, catch_up: bool
    ) -> Due | None:
        """Return the slot to run at a time, if any.

        Args:
            after: As for `next`.
            now: The time.
            catch_up: Whether every slot that has passed is run, one after the other, or the last only.
        """
        first = self.next(after)
        if first is None or first > now:
            return None
        if catch_up or self.times is None:
            return Due(first)
        last = self.times.last(first, min(now, self.end or now))
        return Due(last, self._count(first, last))

    def _count(self, first: datetime.datetime, last: datetime.datetime) -> int:
        count, slot = 0, first
        while slot < last and count <= MOST_COUNTED:
            count, slot = count + 1, self.next(slot) or last
        return count


def _time(text: str | None) -> datetime.datetime | None:
    return metadata.parse_time(text).replace(microsecond=0) if text else None

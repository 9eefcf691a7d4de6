"""When a CronJob is due: five fields, macros, ``@every``, in a time zone. Pure.

Source: `pkg/controller/cronjob/utils.go` of Kubernetes and robfig/cron, whose dialect it is.
"""

import dataclasses
import datetime
import re
import zoneinfo

import croniter

MANY = 100
"""More missed slots than this are worth a warning."""

_EVERY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclasses.dataclass(frozen=True)
class Due:
    """What a schedule says of a stretch of time.

    Attributes:
        slot: The latest time in it, None where there is none.
        missed: How many times there are in it, counted up to one more than `MANY`.
    """

    slot: datetime.datetime | None
    missed: int


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A parsed schedule.

    Attributes:
        expression: Five fields or a macro, as croniter reads it; empty for ``@every``.
        every_seconds: Of ``@every``, else 0.
        zone: Where the fields are read.
    """

    expression: str
    every_seconds: float
    zone: datetime.tzinfo

    @classmethod
    def parse(cls, text: str, zone: str | None = None) -> "Schedule":
        """Read a schedule.

        Args:
            text: `spec.schedule`.
            zone: `spec.timeZone`; None is UTC.

        Raises:
            ValueError: it is none, or the zone is unknown; the message says which.
        """
        try:
            place: datetime.tzinfo = zoneinfo.ZoneInfo(zone) if zone else datetime.UTC
        except (OSError, zoneinfo.ZoneInfoNotFoundError) as error:
            raise ValueError(f"unknown time zone {zone}") from error
        if text.startswith("@every "):
            seconds = sum(float(number) * _UNITS[unit] for number, unit in _EVERY.findall(text))
            return cls("", max(1.0, float(int(seconds))), place)
        expression = {"@midnight": "@daily"}.get(text, text).replace("?", "*")
        if not croniter.croniter.is_valid(expression):
            raise ValueError(f"{text!r} is no schedule")
        return cls(expression, 0.0, place)

    def next(self, after: datetime.datetime) -> datetime.datetime:
        """Return the first time after ``after``, in UTC.

        Raises:
            ValueError: There is none, as of the 31st of February.
        """
        if self.every_seconds:
            return after.replace(microsecond=0) + datetime.timedelta(seconds=self.every_seconds)
        times = croniter.croniter(self.expression, after.astimezone(self.zone))
        try:
            found: datetime.datetime = times.get_next(datetime.datetime)
        except croniter.CroniterBadDateError as error:
            raise ValueError("it never comes") from error
        return found.astimezone(datetime.UTC)

    def due(self, after: datetime.datetime, now: datetime.datetime) -> Due:
        """Return the latest time later than ``after`` and not later than ``now``, in UTC.

        Raises:
            ValueError: There will never be one.
        """
        if self.every_seconds:
            count = int((now - after.replace(microsecond=0)).total_seconds() // self.every_seconds)
            if count <= 0:
                return Due(None, 0)
            step = datetime.timedelta(seconds=self.every_seconds * count)
            return Due(after.replace(microsecond=0) + step, min(count, MANY + 1))
        missed, last, slot = 0, after, self.next(after)
        while slot <= now and missed <= MANY:
            missed, last = missed + 1, slot
            slot = self.next(slot)
        if not missed:
            return Due(None, 0)
        return Due(last if slot > now else self._latest(now), missed)

    def _latest(self, now: datetime.datetime) -> datetime.datetime:
        # The iterator looks strictly before its start, by the second.
        start = now.astimezone(self.zone).replace(microsecond=0) + datetime.timedelta(seconds=1)
        found: datetime.datetime = croniter.croniter(self.expression, start).get_prev(
            datetime.datetime
        )
        return found.astimezone(datetime.UTC)

"""One stored value, and times as whole nanoseconds: what sorts and compares without rounding. Pure."""

import datetime
import re
from dataclasses import dataclass

from wherry.tuning.collector import Metric

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|z|[+-]\d\d:\d\d)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose values.

    Attributes:
        namespace: Of the trial; empty where it is not known (the API of Katib's database has none).
        trial: Its name.
        uid: Its uid; likewise.
    """

    namespace: str
    trial: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A value that a trial reported.

    Attributes:
        metric: Its name.
        value: As it was reported.
        nanoseconds: When, since 1970 UTC.
        step: Where the reporter said it.
        source: What it was read from, such as the uid of a pod; empty: it was sent.
        mark: Where in the source; see `collector.Metric.mark`.
    """

    metric: str
    value: str
    nanoseconds: int
    step: int | None = None
    source: str = ""
    mark: str = ""


def of(metric: Metric, source: str, arrived: int) -> Record:
    """Return a metric as it is stored.

    Args:
        metric: As it was read.
        source: From what.
        arrived: When, in nanoseconds; taken where the metric tells no time.
    """
    told = nanoseconds(metric.time)
    return Record(
        metric=metric.name,
        value=metric.value,
        nanoseconds=arrived if told is None else told,
        step=metric.step,
        source=source,
        mark=metric.mark,
    )


def nanoseconds(text: str) -> int | None:
    """Return an RFC 3339 time as nanoseconds since 1970; None of a text that is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    day, time, fraction, zone = match.groups()
    try:
        moment = datetime.datetime.fromisoformat(f"{day}T{time}{zone.upper()}")
    except ValueError:
        return None
    since = moment - _EPOCH
    whole = since.days * 86400 + since.seconds
    return whole * 10**9 + int((fraction or "0").ljust(9, "0"))


def text(when: int) -> str:
    """Return nanoseconds since 1970 as RFC 3339, with as many decimals as it takes."""
    whole, rest = divmod(when, 10**9)
    moment = _EPOCH + datetime.timedelta(seconds=whole)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"

"""Cron texts against an evaluator that looks at every second of a clock."""

import datetime
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.pipelines.schedules.cron import Cron

UTC = datetime.UTC
SECOND = datetime.timedelta(seconds=1)
MINUTE = datetime.timedelta(minutes=1)
NEW_YORK = "America/New_York"


def at(year, month, day, hour=0):
    return datetime.datetime(year, month, day, hour, tzinfo=UTC)


def times(text, after, count, zone=""):
    cron = Cron.parse(text, zone)
    found: list[str] = []
    while len(found) < count and (after := cron.next(after)) is not None:
        found.append(after.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return found


def test_seconds_come_first():
    assert times("30 15 9 * * MON-FRI", at(2026, 11, 20), 3) == [
        "2026-11-20T09:15:30Z",
        "2026-11-23T09:15:30Z",
        "2026-11-24T09:15:30Z",
    ]


def test_of_five_fields_the_day_of_week_is_missing_as_upstream_has_it():
    assert times("0 30 9 1 *", at(2026, 11, 20), 2) == [
        "2026-12-01T09:30:00Z",
        "2027-01-01T09:30:00Z",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@hourly", "2026-11-20T01:00:00Z"),
        ("@daily", "2026-11-21T00:00:00Z"),
        ("@midnight", "2026-11-21T00:00:00Z"),
        ("@weekly", "2026-11-22T00:00:00Z"),
        ("@monthly", "2026-12-01T00:00:00Z"),
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("@annually", "2027-01-01T00:00:00Z"),
        ("0 0 0 ? * sat", "2026-11-21T00:00:00Z"),
        ("? ? ? ? ? ?", "2026-11-20T00:00:01Z"),
        ("5/20 * * * * *", "2026-11-20T00:00:05Z"),
        ("0 0 0 */10 * *", "2026-11-21T00:00:00Z"),
        # Either of two days, where both are said; both, where one is a star with a step.
        ("0 0 0 25 * sun", "2026-11-22T00:00:00Z"),
        ("0 0 0 */2 * sun", "2026-11-29T00:00:00Z"),
        ("0,30 1-3,5 4 1 Jan,7 *", "2027-01-01T04:01:00Z"),
        ("TZ=Asia/Tokyo 0 0 9 * * *", "2026-11-21T00:00:00Z"),
        ("CRON_TZ=Europe/Berlin  0 0 9 * * *", "2026-11-20T08:00:00Z"),
    ],
)
def test_dialect(text, found):
    assert times(text, at(2026, 11, 20), 1) == [found]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("* * * * * * *", "7 fields"),
        ("60 * * * * *", "second '60': want 0 to 59"),
        ("* * 24 * * *", "hour '24'"),
        ("* * * 0 * *", "day of month '0'"),
        ("* * * * 13 *", "month '13'"),
        ("* * * * * 7", "day of week '7'"),
        ("* * * * * mon-sun", "ascending"),
        ("5-1 * * * * *", "ascending"),
        ("*/0 * * * * *", "steps of 1"),
        ("1/2/3 * * * * *", "want a number"),
        ("1-2-3 * * * * *", "want a number"),
        ("*-5 * * * * *", "want a number"),
        (", * * * * *", "want a number"),
        ("-1 * * * * *", "no number"),
        ("R * * * * *", "no number"),
        ("* * * L * *", "no number"),
        ("* * * * * 5#2", "no number"),
        ("\uff11 * * * * *", "no number"),
        ("@reboot", "@daily"),
        ("@every 5s", "periodic"),
        ("TZ=Nowhere/Land * * * * * *", "time zone 'Nowhere/Land'"),
        ("TZ=../../etc/passwd * * * * * *", "time zone"),
        ("*" * 300, "longer"),
    ],
)
def test_what_is_no_cron_text_is_told(text, told):
    with pytest.raises(ValueError, match=told):
        Cron.parse(text)


def test_leap_days_come_when_they_do():
    assert times("0 0 0 29 2", at(2026, 3, 1), 3) == [
        "2028-02-29T00:00:00Z",
        "2032-02-29T00:00:00Z",
        "2036-02-29T00:00:00Z",
    ]
    # 2100 is none.
    assert times("0 0 0 29 2", at(2096, 3, 1), 1) == ["2104-02-29T00:00:00Z"]
    # A star with a step lets both kinds of days count: the 29 February that is a Sunday.
    assert times("0 0 0 29 2 */7", at(2033, 1, 1), 1) == ["2060-02-29T00:00:00Z"]
    assert times("0 0 0 29 2 */7", at(2089, 1, 1), 1) == ["2128-02-29T00:00:00Z"]


@pytest.mark.parametrize("text", ["0 0 0 31 2 *", "0 0 0 30 feb", "0 0 0 31 4,6,9,11 *"])
def test_a_day_that_never_comes(text):
    assert Cron.parse(text).next(at(2026, 1, 1)) is None


def test_a_time_that_clocks_leave_out_comes_when_they_go_on():
    assert times("0 30 2 * * *", at(2026, 3, 7, 6), 3, NEW_YORK) == [
        "2026-03-07T07:30:00Z",
        "2026-03-08T07:00:00Z",
        "2026-03-09T06:30:00Z",
    ]
    # A whole day, in Samoa.
    assert times("0 0 12 * * *", at(2011, 12, 29, 12), 3, "Pacific/Apia") == [
        "2011-12-29T22:00:00Z",
        "2011-12-30T10:00:00Z",
        "2011-12-30T22:00:00Z",
    ]


def test_a_time_that_clocks_show_twice_comes_once():
    assert times("0 30 1 * * *", at(2026, 10, 31, 4), 3, NEW_YORK) == [
        "2026-10-31T05:30:00Z",
        "2026-11-01T05:30:00Z",
        "2026-11-02T06:30:00Z",
    ]


def test_every_hour_is_every_hour():
    for start in (at(2026, 3, 8, 4), at(2026, 11, 1, 2)):
        found = times("0 15 * * * *", start, 8, NEW_YORK)
        wanted = [start + datetime.timedelta(hours=n, minutes=15) for n in range(8)]
        assert found == [each.strftime("%Y-%m-%dT%H:%M:%SZ") for each in wanted]


def test_half_hours_of_summer_time_too():
    """Lord Howe puts its clocks by half an hour."""
    start = at(2026, 4, 4, 13)
    found = times("0 */15 * * * *", start, 20, "Australia/Lord_Howe")
    wanted = [start + MINUTE * 15 * n for n in range(1, 21)]
    assert found == [each.strftime("%Y-%m-%dT%H:%M:%SZ") for each in wanted]


# What is left of a text when each field is a list of numbers, so that looking is easy.
def fields(least, most):
    one = st.integers(least, most).map(str)
    few = st.lists(one, min_size=1, max_size=3).map(",".join)
    step = st.integers(1, most).map(lambda n: f"*/{n}")
    return st.one_of(st.just("*"), few, step)


def numbers(text, least, most):
    if text.startswith("*"):
        return {*range(least, most + 1, int(text[2:] or 1))}
    return {int(each) for each in text.split(",")}


ZONES = ["UTC", NEW_YORK, "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"]
# Around changes of clocks of one of these, leap days, ends of years; and anywhere.
DAYS = [
    at(2026, 3, 7), at(2026, 3, 28), at(2026, 4, 4), at(2026, 10, 3), at(2026, 10, 24),
    at(2026, 10, 31), at(2026, 4, 23), at(2026, 10, 29), at(2028, 2, 28), at(2026, 12, 31),
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 6)),
    st.sampled_from(ZONES),
    st.sampled_from(DAYS),
    st.integers(0, 48 * 60),
)
def test_the_next_minute_is_the_first_that_a_clock_shows(chosen, zone, day, minutes):
    """Seconds apart: every minute of three days is looked at."""
    cron = Cron.parse(f"0 {' '.join(chosen)}", zone)
    bounds = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
    minute, hour, date, month, weekday = (
        numbers(text, *bound) for text, bound in zip(chosen, bounds, strict=True)
    )
    place, every_hour = zoneinfo.ZoneInfo(zone), chosen[1].startswith("*")

    def is_day(wall):
        one, other = wall.day in date, wall.isoweekday() % 7 in weekday
        either = not (chosen[2].startswith("*") or chosen[4].startswith("*"))
        return wall.month in month and (one or other if either else one and other)

    def shown(wall):
        return wall.minute in minute and wall.hour in hour and is_day(wall)

    def is_due(time):
        wall = time.astimezone(place)
        if every_hour:
            return shown(wall)
        before = (time - MINUTE).astimezone(place)
        skipped = wall.replace(tzinfo=None) - before.replace(tzinfo=None) - MINUTE
        left_out = [
            before.replace(tzinfo=None) + MINUTE * n for n in range(1, int(skipped / MINUTE) + 1)
        ]
        return (shown(wall) and not wall.fold) or any(map(shown, left_out))

    after = day + MINUTE * minutes
    end = after + datetime.timedelta(days=3)
    looked = (after + MINUTE * n for n in range(1, 3 * 24 * 60 + 1))
    first = next((time for time in looked if is_due(time)), None)
    found = cron.next(after)
    assert (found if found is not None and found <= end else None) == first


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(*(fields(0, 59) for _ in range(2)), fields(0, 23)),
    st.sampled_from(ZONES),
    st.sampled_from(DAYS),
    st.integers(0, 3 * 24 * 3600),
)
def test_times_are_told_alike_from_wherever_one_asks(chosen, zone, day, seconds):
    cron = Cron.parse(f"{' '.join(chosen)} * * *", zone)
    after = day + SECOND * seconds
    first = cron.next(after)
    assert first is not None
    between = after + (first - after) / 2
    assert cron.next(between) == first
    assert cron.next(first - SECOND) == first
    second = cron.next(first)
    assert second is not None
    assert second > first

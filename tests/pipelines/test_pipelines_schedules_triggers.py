"""Which slots there are and which is due, over years; and what runs are given."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.schedules import go_layouts, macros
from wherry.pipelines.schedules.given import parameters
from wherry.pipelines.schedules.progress import Progress
from wherry.pipelines.schedules.trigger import MOST_COUNTED, Trigger

CREATED = datetime.datetime(2026, 11, 20, 12, 0, 10, tzinfo=datetime.UTC)
SECOND = datetime.timedelta(seconds=1)
YEAR = datetime.timedelta(days=365)


def trigger(**told):
    return Trigger.of(told, CREATED)


def cron(text, **told):
    return trigger(cronSchedule={"cron": text, **told})


def every(seconds, **told):
    return trigger(periodicSchedule={"intervalSecond": seconds, **told})


def seconds(*slots):
    return [slot and int((slot - CREATED).total_seconds()) for slot in slots]


def test_without_a_time_there_is_one_slot():
    once = trigger()
    assert once.next(None) == CREATED
    assert once.next(CREATED) is None
    assert once.due(None, CREATED, catch_up=True).slot == CREATED


def test_slots_are_counted_from_when_the_schedule_was_made():
    assert seconds(every(60).next(None), every(60).next(CREATED + SECOND * 60)) == [60, 120]
    assert seconds(cron("0 * * * * *").next(None)) == [50]


def test_slots_are_later_than_the_start_and_no_later_than_the_end():
    told = {"startTime": "2026-11-20T10:00:00Z", "endTime": "2026-11-20T10:02:00Z"}
    for made in (every(60, **told), cron("0 * * * * *", **told)):
        first = made.next(None)
        second = made.next(first)
        assert [each.isoformat() for each in (first, second)] == [
            "2026-11-20T10:01:00+00:00",
            "2026-11-20T10:02:00+00:00",
        ]
        assert made.next(second) is None


def test_intervals_stay_where_they_began():
    made = every(7, startTime="2026-11-20T12:00:00Z")
    assert seconds(made.next(CREATED)) == [4]
    assert seconds(made.next(CREATED + SECOND * 3), made.next(CREATED + SECOND * 4)) == [4, 11]


def test_fractions_of_a_second_are_no_slots():
    made = every(5, startTime="2026-11-20T12:00:10.750Z")
    assert seconds(made.next(None)) == [5]


def test_what_was_missed_is_made_up_for_one_after_the_other_or_the_last_only():
    made, now = every(60), CREATED + SECOND * 310
    assert seconds(made.due(None, now, catch_up=True).slot) == [60]
    due = made.due(None, now, catch_up=False)
    assert (seconds(due.slot), due.skipped) == ([300], 4)
    assert made.due(None, CREATED + SECOND * 59, catch_up=True) is None
    later = made.due(None, CREATED + YEAR, catch_up=False)
    assert later.skipped == MOST_COUNTED + 1


def test_the_last_of_a_year_of_seconds_is_found_at_once():
    now = CREATED + YEAR * 20
    assert cron("* * * * * *").due(None, now, catch_up=False).slot == now
    assert every(1).due(None, now, catch_up=False).slot == now


TRIGGERS = st.one_of(
    st.sampled_from(
        ["0 30 2 * * *", "0 0 */6 * * *", "0 0 0 29 2", "0 15 1 * * SUN", "0 0 12 1 * *"]
    ).flatmap(
        lambda text: st.sampled_from(["UTC", "America/New_York", "Europe/Berlin"]).map(
            lambda zone: {"cronSchedule": {"cron": text, "timeZone": zone}}
        )
    ),
    st.integers(20_000, 40 * 24 * 3600).map(lambda s: {"periodicSchedule": {"intervalSecond": s}}),
)
# A look a while later, maybe after the process has died between making a run and noting it; or
# the clock is put back.
LOOKS = st.lists(
    st.tuples(st.integers(-100_000, 30 * 24 * 3600), st.booleans()), min_size=1, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(TRIGGERS, LOOKS, st.booleans())
def test_over_years_each_slot_is_run_once_and_none_is_missed(told, looks, catch_up):
    made = Trigger.of(told, CREATED)
    state, now, latest = Progress(), CREATED, CREATED
    runs: dict[datetime.datetime, int] = {}
    lost: set[datetime.datetime] = set()

    for wait, dies in looks:
        now += SECOND * wait
        latest = max(latest, now)
        while (due := made.due(state.after, now, catch_up=catch_up)) is not None:
            # The name of a run is its slot's: what is there is not made again.
            runs.setdefault(due.slot, state.index)
            if due.slot not in lost and dies:
                lost.add(due.slot)
                continue
            state = state.fired(due.slot)

    slots, slot = [], made.next(None)
    while slot is not None and slot <= latest:
        slots.append(slot)
        slot = made.next(slot)
    # A dictionary keeps the order in which runs were made.
    assert [*runs] == sorted(runs)
    assert [*runs.values()] == [*range(len(runs))]
    if catch_up:
        assert [*runs] == slots
    else:
        assert {*runs} <= {*slots}
        assert [*runs][-1:] == slots[-1:]


def test_a_trigger_that_is_read_otherwise_makes_up_for_nothing():
    """As when the option says another time zone: nobody has written it anew."""
    minute = SECOND * 60
    before = Progress(last=CREATED, index=3, observed="one")
    now = CREATED + minute
    assert before.changed("other", CREATED - YEAR, now).after == CREATED
    assert before.changed("other", now, now).after == now
    # The last slot is to come: a clock was wrong.
    assert before.changed("other", CREATED - minute, CREATED - minute).after == CREATED - minute


def test_go_layouts_are_written_as_go_does():
    when = datetime.datetime(2026, 3, 9, 7, 5, 8, 123456, tzinfo=datetime.UTC)
    for layout, written in {
        "20060102150405": "20260309070508",
        "2006-01-02": "2026-03-09",
        "15-04-05": "07-05-08",
        "Mon Jan _2 15:04:05 2006": "Mon Mar  9 07:05:08 2026",
        "Monday, 02-Jan-06 15:04:05 MST": "Monday, 09-Mar-26 07:05:08 UTC",
        "Mon, 02 Jan 2006 15:04:05 -0700": "Mon, 09 Mar 2026 07:05:08 +0000",
        "2006-01-02T15:04:05Z07:00": "2026-03-09T07:05:08Z",
        "2006-01-02T15:04:05.999999999Z07:00": "2026-03-09T07:05:08.123456Z",
        "15:04:05.000": "07:05:08.123",
        "15:04:05,00": "07:05:08,12",
        "3:04PM": "7:05AM",
        "03:04pm": "07:05am",
        "January 2, 2006": "March 9, 2026",
        "1/2/06": "3/9/26",
        "002 __2": "068  68",
        "_2006": "_2026",
        "Janet and Monty": "Janet and Monty",
        "v1.5": "v3.8",
        "": "",
    }.items():
        assert go_layouts.write(when, layout) == written, layout
    local = when.astimezone(datetime.timezone(datetime.timedelta(hours=5)))
    assert go_layouts.write(local, "15 -0700 Z07") == "12 +0500 +05"
    assert go_layouts.write(when.replace(microsecond=0), "05.999") == "08"


MOMENT = macros.Moment(now=CREATED + SECOND, scheduled=CREATED.replace(second=0), index=3)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("[[ScheduledTime]]", "20261120120000"),
        ("[[CurrentTime]]", "20261120120011"),
        ("[[ScheduledTime.2006-01-02]]/x", "2026-11-20/x"),
        ("[[CurrentTime.15:04:05]]", "12:00:11"),
        ("a [[Index]] b [[Index]]", "a 3 b 3"),
        ("[[RunUUID]]", "[[RunUUID]]"),
        ("[[Index.2006]] [[Other]] [[ScheduledTime", "[[Index.2006]] [[Other]] [[ScheduledTime"),
    ],
)
def test_macros(text, written):
    assert macros.filled({"a": text}, MOMENT) == {"a": written}
    assert macros.filled({"a": [{"b": text}], "c": 1}, MOMENT) == {"a": [{"b": written}], "c": 1}


def test_runs_by_hand_have_no_slot_and_no_number():
    moment = macros.Moment(now=CREATED)
    text = "[[ScheduledTime]] [[Index]] [[CurrentTime.2006]]"
    assert macros.filled({"a": text}, moment) == {"a": "[[ScheduledTime]] [[Index]] 2026"}
    assert macros.with_run_id({"a": ["x-[[RunUUID]]"]}, "uid") == {"a": ["x-uid"]}


@pytest.fixture
def typed(pipeline):
    made = pipeline(text="STRING", number="NUMBER_INTEGER", flag="BOOLEAN", many="LIST")
    made.step("say", "true")
    made.task("say")
    return Pipeline(made.spec()["pipelineSpec"])


def told(**values):
    return [{"name": name, "value": value} for name, value in values.items()]


def test_values_are_json_or_plain_text(typed):
    plain = told(text="hello", number="[[Index]]", flag="true", many='["[[ScheduledTime.2006]]"]')
    as_json = told(text='"hello"', number='"[[Index]]"', flag="true", many='["2026"]')
    wanted = {"text": "hello", "number": 3, "flag": True, "many": ["2026"]}
    assert parameters(typed, plain, MOMENT) == wanted
    assert parameters(typed, as_json, MOMENT) == wanted
    assert parameters(typed, [*told(text="5"), *plain[1:]], MOMENT)["text"] == "5"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"number": "often"}, r"workflow.parameters\[1\].value: number"),
        ({"other": "x"}, "workflow.parameters.other"),
        ({"many": "5"}, r"workflow.parameters\[3\].value: many"),
        ({"flag": None}, "workflow.parameters.flag"),
    ],
)
def test_wrong_values_are_told_with_their_place(typed, change, place):
    values = {"text": "a", "number": "1", "flag": "true", "many": "[]", **change}
    chosen = {name: value for name, value in values.items() if value is not None}
    with pytest.raises(PipelineError, match=place):
        parameters(typed, told(**chosen))
    with pytest.raises(PipelineError, match="twice"):
        parameters(typed, told(text="a") * 2)

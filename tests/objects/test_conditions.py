"""Conditions: one a type, and a transition time that moves only with the status."""

import datetime
from typing import Any

import pytest

from wherry.objects import conditions

NOON = datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)
LATER = NOON + datetime.timedelta(minutes=1)


def test_a_new_condition_is_added_and_read_back() -> None:
    found: list[dict[str, Any]] = []
    assert conditions.set(found, "Ready", "True", reason="Up", message="m", now=NOON, generation=3)
    assert found == [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Up",
            "message": "m",
            "lastTransitionTime": "2024-01-01T12:00:00Z",
            "observedGeneration": 3,
        }
    ]
    obj = {"status": {"conditions": found}}
    assert conditions.get(obj, "Ready") is found[0]
    assert conditions.is_true(obj, "Ready")
    assert conditions.set(found, "Done", "False", reason="Not", message="", now=NOON)
    assert conditions.get(obj, "Done") is found[1]
    assert conditions.get(obj, "Other") is None


def test_the_transition_time_moves_only_when_the_status_flips() -> None:
    found: list[dict[str, Any]] = []
    conditions.set(found, "Ready", "True", reason="Up", message="m", now=NOON)
    assert not conditions.set(found, "Ready", "True", reason="Up", message="m", now=LATER)
    assert conditions.set(found, "Ready", "True", reason="Up", message="other", now=LATER)
    assert found[0]["lastTransitionTime"] == "2024-01-01T12:00:00Z"
    assert conditions.set(found, "Ready", "False", reason="Down", message="m", now=LATER)
    assert found[0]["lastTransitionTime"] == "2024-01-01T12:01:00Z"
    assert len(found) == 1
    assert not conditions.is_true({"status": {"conditions": found}}, "Ready")


@pytest.mark.parametrize(
    "obj", [{}, {"status": None}, {"status": {}}, {"status": {"conditions": None}}]
)
def test_objects_without_conditions_have_none(obj: dict[str, Any]) -> None:
    assert conditions.get(obj, "Ready") is None
    assert not conditions.is_true(obj, "Ready")


def test_messages_are_bounded_and_statuses_checked() -> None:
    found: list[dict[str, Any]] = []
    conditions.set(found, "Ready", "Unknown", reason="R", message="x" * 40000, now=NOON)
    assert len(found[0]["message"]) == conditions.MAX_MESSAGE_LENGTH
    with pytest.raises(ValueError, match="Ready must be True, False or Unknown, not 'true'"):
        conditions.set(found, "Ready", "true", reason="R", message="", now=NOON)

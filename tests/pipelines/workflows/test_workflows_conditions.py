"""Conditions: ``when`` once it is filled in, and ``depends``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.pipelines.workflows import conditions
from wherry.pipelines.workflows.conditions import ConditionError
from wherry.pipelines.workflows.messages import ContinueOn, Task


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("", True),
        ("true", True),
        ("heads == heads", True),
        ("heads == tails", False),
        ("mac-10 != 'Mac 10'", True),
        ("\"a 'b'\" == 'a \\'b\\''", True),
        ("5 > 3 && (2 < 1 || !false)", True),
        ("1 == 1.0", True),
        ("'1' == 1", False),
        ("false == true", False),
        ("abc =~ '^a.c$' && abc !~ x", True),
        ("b in (a, b, c)", True),
        ("5 in (1, 5)", True),
        ("d in ('a', 'b')", False),
        ("'' == ''", True),
        ("1 + 2 * 2 == 5 && 2 ** 3 == 8 && 7 % 4 == 3", True),
        ("'a' < 'b' && -1 < 0", True),
        ("(1 & 3) == 1 && (1 << 2) == 4", True),
        ("1 > 2 ? false : true", True),
        ("v1.2.3 == v1.2.3 && 1.2.3 != 1.2.4", True),
    ],
)
def test_when(when, holds):
    assert conditions.holds(when) is holds


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (" == heads", "is a value empty? put it in quotes"),
        ("two words == x", "put texts of several words in quotes"),
        ("5", "neither true nor false"),
        ("a < 5", "cannot be compared"),
        ("a == {{b}}", "cannot be read at '{{b}}'"),
        ("a =~ '('", "no regular expression"),
        ("1 / 0 == 1", "division"),
        ("(" * 60 + "true" + ")" * 60, "nests deeper"),
        ("a && b", "neither true nor false"),
        ("0x" + "f" * 400 + " > 1", "too large"),
        ("~1e999 == 1", "infinity"),
        ("~(1e999 - 1e999) == 1", "NaN"),
    ],
)
def test_when_that_says_nothing(when, said):
    with pytest.raises(ConditionError) as refused:
        conditions.holds(when)
    assert said in str(refused.value)


@given(st.text(), st.text())
def test_quoted_texts_are_the_same_where_they_are(left, right):
    def quoted(text):
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    assert conditions.holds(f"{quoted(left)} == {quoted(right)}") is (left == right)


@given(st.text(max_size=40))
def test_any_text_holds_or_not_or_is_refused(text):
    try:
        conditions.holds(text)
    except ConditionError:
        return


def has(**results):
    return lambda task, result: result in results.get(task.replace("-", "_"), ())


@pytest.mark.parametrize(
    ("text", "results", "runs"),
    [
        ("a && b", {"a": ["Succeeded"], "b": ["Skipped"]}, True),
        ("a && b", {"a": ["Succeeded"], "b": ["Failed"]}, False),
        ("a.Failed || b.Succeeded", {"a": ["Failed"], "b": ["Failed"]}, True),
        ("(a || b) && !c-1.Errored", {"b": ["Daemoned"], "c_1": ["Succeeded"]}, True),
        ("a.AnySucceeded && !a.AllFailed", {"a": ["Failed", "AnySucceeded"]}, True),
        ("a || b && c", {"a": ["Succeeded"]}, True),
        ("a.Omitted", {"a": ["Omitted"]}, True),
    ],
)
def test_depends(text, results, runs):
    waits = conditions.depends(Task(name="x", depends=text), {})
    assert waits.evaluate(has(**results)) is runs
    assert {name.replace("-", "_") for name in waits.results} >= set(results)


def test_dependencies_are_all_of_them_and_go_on_as_they_say():
    tasks = {"a": Task(name="a", continue_on=ContinueOn(failed=True)), "b": Task(name="b")}
    task = Task(name="x", dependencies=("a", "b"))
    waits = conditions.depends(task, tasks)
    assert waits.evaluate(has(a=["Failed"], b=["Succeeded"]))
    assert not waits.evaluate(has(a=["Succeeded"], b=["Failed"]))
    assert conditions.depends(Task(name="y"), tasks).evaluate(has())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a &&", "the end is unexpected"),
        ("a b", "join tasks by && and ||"),
        ("a.Finished", "no result of task 'a'; there is Succeeded"),
        ("&& a", "here stands a task"),
        ("(a", "')' is missing"),
    ],
)
def test_depends_that_cannot_be_read(text, said):
    with pytest.raises(ConditionError) as refused:
        conditions.depends(Task(name="x", depends=text), {})
    assert said in str(refused.value)

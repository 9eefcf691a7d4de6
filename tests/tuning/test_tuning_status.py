"""What trials come to: counts, lists, the best one, ends; small however many there are."""

import datetime
import json
import random
from typing import Any

import pytest

from wherry.objects import conditions
from wherry.testing.played import condition
from wherry.tuning import status, suggestions, tally, trial_status
from wherry.tuning.algorithm import Answer, Objective, Proposal
from wherry.tuning.kinds import INDEX_LABEL

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def trial(index: int, state: str = "Succeeded", *values: str, **more: Any) -> dict[str, Any]:
    names = ("loss", "speed")
    metrics = [
        {"name": name, "min": value, "max": value, "latest": value}
        for name, value in zip(names, values, strict=False)
    ]
    held = [{"type": state, "status": "True"}] if state != "Created" else []
    return {
        "metadata": {
            "name": f"e-{index}",
            "uid": f"u{index}",
            "resourceVersion": "1",
            "labels": {INDEX_LABEL: str(index)},
            **more,
        },
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "parameterAssignments": [{"name": "x", "value": str(index)}],
        },
        "status": {"conditions": held, "observation": {"metrics": metrics}},
    }


def experiment(held: list[dict[str, Any]] | None = None, **spec: Any) -> dict[str, Any]:
    objective = {"type": "minimize", "objectiveMetricName": "loss"}
    return {
        "metadata": {"name": "e", "namespace": "n", "uid": "u"},
        "spec": {"objective": objective, "maxTrialCount": 10, **spec},
        "status": {"conditions": held or []},
    }


def counted(trials: list[dict[str, Any]], *types: str) -> tally.Tally:
    metrics = zip(("loss", "speed"), types or ("minimize",), strict=False)
    return tally.tally(trials, [Objective(metric=each, type=type_) for each, type_ in metrics])


def written(obj: dict[str, Any], trials: list[dict[str, Any]], end: Any = None) -> dict[str, Any]:
    named = {one["metadata"]["name"]: one for one in trials}
    return status.of(obj, counted(trials), trials=named.get, end=end, now=NOW)


def test_each_trial_is_counted_once():
    states = [
        "Killed",
        "Failed",
        "Succeeded",
        "EarlyStopped",
        "Running",
        "MetricsUnavailable",
        "Created",
    ]
    found = written(experiment(), [trial(index, state) for index, state in enumerate(states)])
    counters = [
        "trialsKilled",
        "trialsFailed",
        "trialsSucceeded",
        "trialsEarlyStopped",
        "trialsRunning",
        "trialMetricsUnavailable",
        "trialsPending",
    ]
    assert [found[counter] for counter in counters] == [1] * 7
    assert found["trials"] == 7
    assert found["metricsUnavailableTrialList"] == ["e-5"]


@pytest.mark.parametrize(
    ("values", "type_", "best"),
    [
        (["3", "1", "2"], "minimize", "e-1"),
        (["3", "1", "2"], "maximize", "e-0"),
        (["1", "1.0"], "minimize", "e-0"),
        (["nan", "7"], "minimize", "e-1"),
        (["inf", "7"], "minimize", "e-1"),
        (["Genotype(a)", "Genotype(b)"], "maximize", "e-1"),
        (["unavailable", "7"], "minimize", "e-1"),
    ],
)
def test_the_best_trial_is_strictly_better_than_all_before(values, type_, best):
    trials = [trial(index, "Succeeded", value) for index, value in enumerate(values)]
    found = counted(trials, type_).best
    assert found is not None
    assert found[0] == best


def test_trials_that_are_not_done_are_not_best():
    trials = [trial(0, "Succeeded", "5"), trial(1, "Running", "1"), trial(2, "Failed", "0")]
    assert counted(trials).best == ("e-0", "5")


def test_the_strategy_says_which_value_counts():
    made = trial(0, "Succeeded", "5")
    made["status"]["observation"]["metrics"][0] |= {"min": "1", "max": "9", "latest": "unavailable"}
    made["spec"]["objective"]["metricStrategies"] = [{"name": "loss", "value": "max"}]
    assert counted([made]).best == ("e-0", "9")
    made["spec"]["objective"]["metricStrategies"] = [{"name": "loss", "value": "latest"}]
    assert counted([made]).best is None


def test_with_several_objectives_those_count_that_none_beats():
    points = [("1", "1"), ("2", "2"), ("3", "1"), ("1", "1.5"), ("0", "x")]
    trials = [trial(index, "Succeeded", *point) for index, point in enumerate(points)]
    assert counted(trials, "minimize", "maximize").front == ["e-1", "e-3"]


@pytest.mark.parametrize(
    ("states", "spec", "reason"),
    [
        (["Succeeded"] * 10, {}, "ExperimentMaxTrialsReached"),
        (["Succeeded"] * 9, {}, None),
        (["Failed", "Running"], {"maxFailedTrialCount": 0}, "ExperimentFailed"),
        (["Failed", "MetricsUnavailable"], {"maxFailedTrialCount": 2}, "ExperimentFailed"),
        (["Failed"], {"maxFailedTrialCount": 2}, None),
        (["Running"], {"maxFailedTrialCount": 0}, None),
        (["Failed"] * 10, {}, "ExperimentMaxTrialsReached"),
        (["MetricsUnavailable"] * 5 + ["Killed"] * 5, {}, "ExperimentMaxTrialsReached"),
        (["Succeeded"] * 99, {"maxTrialCount": None}, None),
    ],
)
def test_when_a_search_ends(states, spec, reason):
    trials = [trial(index, state) for index, state in enumerate(states)]
    end = status.verdict(experiment(**spec), counted(trials), None)
    assert (end and end.reason) == reason


def test_the_goal_comes_before_failures_and_budget():
    objective = {"type": "minimize", "objectiveMetricName": "loss", "goal": 0.5}
    obj = experiment(objective=objective, maxFailedTrialCount=0, maxTrialCount=2)
    found = counted([trial(0, "Succeeded", "0.5"), trial(1, "Failed")])
    end = status.verdict(obj, found, None)
    assert end is not None
    assert end.reason == "ExperimentGoalReached"


def test_a_search_that_has_nothing_more_to_try_waits_for_its_last_trials():
    asked = {"status": {"ended": True, "suggestions": [{"name": "e-0"}]}}
    assert status.verdict(experiment(), counted([]), asked) is None, "one is not made yet"
    assert status.verdict(experiment(), counted([trial(0, "Running")]), asked) is None
    end = status.verdict(experiment(), counted([trial(0)]), asked)
    assert end is not None
    assert (end.condition, end.reason) == ("Succeeded", "ExperimentSuggestionEndReached")


def test_a_suggestion_that_failed_fails_the_search_with_its_words():
    failed = {
        "status": {"conditions": [{"type": "Failed", "status": "True", "message": "no numpy"}]}
    }
    end = status.verdict(experiment(), counted([]), failed)
    assert end is not None
    assert (end.condition, end.message) == ("Failed", "Suggestion has failed: no numpy")


def test_the_end_stands_last_and_running_is_false_with_the_same_reason():
    first = written(experiment(), [trial(0)])
    end = status.Verdict("Succeeded", "ExperimentGoalReached", "m")
    found = written({**experiment(), "status": first}, [trial(0)], end)
    last = [(one["type"], one["status"], one["reason"]) for one in found["conditions"]][1:]
    assert last == [
        ("Running", "False", "ExperimentGoalReached"),
        ("Succeeded", "True", "ExperimentGoalReached"),
    ]
    assert found["completionTime"] == "2026-01-01T00:00:00Z"


def test_nothing_new_is_nothing_to_write():
    obj = experiment()
    obj["status"] = written(obj, [trial(0)])
    later = NOW + datetime.timedelta(hours=1)
    found = counted([trial(0)])
    assert status.of(obj, found, trials={"e-0": trial(0)}.get, end=None, now=later) == obj["status"]


def test_a_restart_takes_the_end_back_and_says_so():
    end = status.Verdict("Succeeded", "ExperimentMaxTrialsReached", "m")
    obj = experiment(resumePolicy="LongRunning", maxTrialCount=2)
    obj["status"] = written(obj, [trial(0), trial(1)], end)
    assert not status.may_restart(obj)
    more = {**obj, "spec": {**obj["spec"], "maxTrialCount": 3}}
    assert status.may_restart(more)
    assert not status.may_restart({**more, "spec": {**more["spec"], "resumePolicy": "Never"}})
    found = status.restarted(more, NOW)
    assert "completionTime" not in found
    assert found["conditions"][-1]["type"] == "Restarting"
    assert not conditions.is_true({"status": found}, "Succeeded")


def test_the_newest_unfinished_trials_are_too_many():
    trials = [trial(0, "Running"), trial(1), trial(2, "Running"), trial(3, "Created")]
    assert counted(trials).surplus(1) == ["e-3", "e-2"]
    assert counted(trials).surplus(3) == []


@pytest.mark.parametrize("types", [("minimize",), ("maximize",), ("minimize", "maximize")])
def test_a_tally_that_is_kept_up_to_date_is_one_made_anew(types: tuple[str, ...]):
    rng, held = random.Random(7), dict[str, dict[str, Any]]()
    objectives = [
        Objective(metric=metric, type=each)
        for metric, each in zip(("loss", "speed"), types, strict=False)
    ]
    kept = tally.Tally(types)
    states = ("Created", "Running", "Succeeded", "Succeeded", "EarlyStopped", "Failed", "Killed")
    for _ in range(600):
        index = rng.randrange(40)
        name = f"e-{index}"
        if rng.random() < 0.2:
            held.pop(name, None)
            kept.drop(name)
        else:
            values = [str(rng.choice([0.5, 1, 2, 3, 4])) for _ in range(2)]
            more = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if rng.random() < 0.1 else {}
            held[name] = trial(index, rng.choice(states), *values)
            held[name]["metadata"] |= more
            kept.put(tally.digest(held[name], objectives))
        anew = tally.tally(held.values(), objectives)
        assert all([*kept.names(each)] == [*anew.names(each)] for each in states)
        assert (kept.best, kept.front) == (anew.best, anew.front)
        assert (len(kept), kept.active, kept.completed) == (len(anew), anew.active, anew.completed)
        assert kept.surplus(1) == anew.surplus(1)


def test_the_status_stays_small_however_many_trials_there_are():
    trials = [trial(index, "Succeeded", str(index)) for index in range(5_000)]
    found = written(experiment(), trials)
    assert found["trialsSucceeded"] == 5_000
    assert len(found["succeededTrialList"]) == 1000
    assert found["succeededTrialList"][-1] == "e-4999"
    assert len(json.dumps(found)) < 50_000


def test_a_suggestion_keeps_what_is_no_trial_yet_and_the_latest():
    obj: dict[str, Any] = {"metadata": {"name": "e"}, "spec": {"requests": 1000}}
    made: set[str] = set()
    for _ in range(50):
        proposals = tuple(Proposal(assignments={"x": "1"}) for _ in range(20))
        obj["status"] = suggestions.answered(
            experiment(),
            obj,
            Answer(proposals=proposals),
            rules=(),
            is_made=made.__contains__,
            now=NOW,
        )
        unmade = suggestions.unmade(obj, made.__contains__)
        made |= {one["name"] for one in unmade[:18]}
    told = obj["status"]
    assert (told["suggestionCount"], told["proposed"]) == (1000, 1000)
    assert len(suggestions.unmade(obj, made.__contains__)) == 100, (
        "two of each twenty are still to be made"
    )
    assert len(told["suggestions"]) < 250
    assert len({one["name"] for one in told["suggestions"]}) == len(told["suggestions"])


def _answered(obj: dict[str, Any], answer: Answer) -> dict[str, Any]:
    return suggestions.answered(
        experiment(), obj, answer, rules=(), is_made=lambda _: False, now=NOW
    )


def test_what_is_withdrawn_is_asked_for_again_under_another_name():
    obj: dict[str, Any] = {"metadata": {"name": "e"}, "spec": {"requests": 2}}
    answer = Answer(proposals=(Proposal(assignments={}), Proposal(assignments={})))
    obj["status"] = _answered(obj, answer)
    first, second = (one["name"] for one in obj["status"]["suggestions"])
    obj["status"] = suggestions.trimmed(obj, {second}, NOW)
    assert suggestions.wanted(obj) == 1
    answer = Answer(proposals=(Proposal(assignments={}),))
    obj["status"] = _answered(obj, answer)
    names = [one["name"] for one in obj["status"]["suggestions"]]
    assert names[0] == first
    assert names[1] not in {first, second}


def test_live_values_of_a_trial_are_written_now_and_then():
    seen = trial_status.Seen(
        running=True, observation={"metrics": [{"name": "loss", "latest": "3"}]}
    )
    obj = {"metadata": {"name": "t"}, "status": trial_status.of({}, seen, None, NOW)}
    assert obj["status"]["observation"] == seen.observation
    more = trial_status.Seen(
        running=True, observation={"metrics": [{"name": "loss", "latest": "2"}]}
    )
    soon = NOW + datetime.timedelta(seconds=1)
    assert trial_status.of(obj, more, None, soon) == obj["status"]
    assert trial_status.seconds_to_observation(obj, soon) == 4
    later = NOW + datetime.timedelta(seconds=5)
    assert trial_status.of(obj, more, None, later)["observation"] == more.observation


def test_what_keeps_a_trial_from_running_is_taken_back_when_it_runs():
    stuck = trial_status.Seen(trouble=("Unschedulable", "no room"))
    obj = {"metadata": {"name": "t"}, "status": trial_status.of({}, stuck, None, NOW)}
    assert condition(obj, "Running")["message"] == "no room"
    assert not conditions.is_true(obj, "Running")
    obj["status"] = trial_status.of(obj, trial_status.Seen(running=True), None, NOW)
    assert condition(obj, "Running")["reason"] == "TrialRunning"

"""The count of an experiment's trials follows whatever happens to them, seen one by one or not."""

import random
from typing import Any

from wherry.controller.cache import Cache
from wherry.tuning import optimum, tally
from wherry.tuning.algorithm import Objective
from wherry.tuning.controller.counting import Count, Counts
from wherry.tuning.kinds import INDEX_LABEL, TRIALS

OBJECTIVES = (Objective(metric="loss"),)
EXPERIMENT = {"metadata": {"name": "e", "namespace": "n", "uid": "e-uid"}}
STATES = ("Created", "Running", "Succeeded", "Failed", "EarlyStopped")


def trial(index: int, state: str, version: int, **more: Any) -> dict[str, Any]:
    metric = {"name": "loss", "min": str(version % 7), "max": "9", "latest": "9"}
    return {
        "metadata": {
            "name": f"e-{index}",
            "namespace": "n",
            "uid": f"{index}",
            "resourceVersion": str(version),
            "labels": {INDEX_LABEL: str(index)},
            "ownerReferences": [{"uid": "e-uid", "controller": True, "kind": "Experiment"}],
            **more,
        },
        "spec": {"objective": {"type": "minimize", "objectiveMetricName": "loss"}},
        "status": {
            "conditions": [{"type": state, "status": "True"}],
            "observation": {"metrics": [metric]},
        },
    }


def same(count: Count, cache: Cache) -> bool:
    anew = tally.tally(cache.owned_by("e-uid"), OBJECTIVES)
    states = all([*count.tally.names(each)] == [*anew.names(each)] for each in STATES)
    return states and count.tally.best == anew.best and len(count.tally) == len(anew)


def test_what_is_looked_at_step_by_step_is_counted_as_if_from_the_start():
    cache, rng = Cache(TRIALS), random.Random(3)
    count = Counts(cache).of(EXPERIMENT, OBJECTIVES)
    for version in range(1, 1500):
        index, leaving = rng.randrange(60), rng.random() < 0.1
        more = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}
        key, before = ("n", f"e-{index}"), cache.get("n", f"e-{index}")
        if before is not None and "deletionTimestamp" in before["metadata"]:
            cache.put(key, None)
        elif before is None or not optimum.is_completed(before) or leaving:
            cache.put(key, trial(index, rng.choice(STATES), version, **more))
        count.look()
        assert version % 10 or same(count, cache)


def test_a_look_takes_in_what_has_changed():
    cache = Cache(TRIALS)
    cache.put(("n", "e-0"), trial(0, "Running", 1))
    count = Counts(cache).of(EXPERIMENT, OBJECTIVES)
    assert count.tally.active == 1
    cache.put(("n", "e-0"), trial(0, "Succeeded", 2))
    cache.put(("n", "e-1"), trial(1, "Running", 3))
    count.look()
    assert same(count, cache)
    leaving = trial(0, "Succeeded", 4, deletionTimestamp="2026-01-01T00:00:00Z")
    cache.put(("n", "e-0"), leaving)
    count.look()
    assert same(count, cache)
    assert count.is_made("e-0"), "it is still there, so that nobody makes it anew"
    cache.put(("n", "e-0"), None)
    count.look()
    assert same(count, cache)
    assert not count.is_made("e-0")


def test_what_comes_and_ends_between_two_looks_is_counted():
    cache = Cache(TRIALS)
    count = Counts(cache).of(EXPERIMENT, OBJECTIVES)
    cache.put(("n", "e-0"), trial(0, "Succeeded", 1))
    count.look()
    assert same(count, cache)
    cache.put(("n", "e-0"), None)
    count.look()
    assert same(count, cache)


def test_trials_of_others_do_not_count():
    cache = Cache(TRIALS)
    count = Counts(cache).of(EXPERIMENT, OBJECTIVES)
    other = trial(0, "Running", 1, ownerReferences=[{"uid": "other"}])
    cache.put(("n", "e-0"), other)
    count.look()
    assert len(count.tally) == 0
    assert not count.is_made("e-0")

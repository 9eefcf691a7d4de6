"""Early stoppers, and the rules they write into trials."""

import pytest

from wherry.tuning import stoppers
from wherry.tuning.algorithm import Objective, PastTrial
from wherry.tuning.stopping import Rule, Watch

UP = Objective(metric="accuracy", type="maximize")
DOWN = Objective(metric="loss")


def done(*curve: float, state: str = "Succeeded") -> PastTrial:
    return PastTrial(name="t", assignments={}, state=state, curve=curve)


def test_the_median_is_the_mean_of_the_first_values_of_those_that_succeeded():
    stopper = stoppers.get("medianstop")
    past = [done(1, 2, 3, 4, 100), done(5, 5), done(3, 3, 3, 3), done(0, 0, 0, 0, state="Failed")]
    assert stopper.rules(DOWN, {}, past[:2]) == ()
    assert stopper.rules(DOWN, {}, past) == (
        Rule(name="loss", value=repr((2.5 + 5 + 3) / 3), comparison="greater", start_step=4),
    )
    settings = {"min_trials_required": "2", "start_step": "1"}
    assert stopper.rules(UP, settings, past[:2]) == (
        Rule(name="accuracy", value="3.0", comparison="less", start_step=1),
    )


@pytest.mark.parametrize(
    ("name", "settings", "wrong"),
    [
        ("medianstop", {"min_trials_required": "0"}, "min_trials_required"),
        ("medianstop", {"start_step": "0"}, "start_step"),
        ("medianstop", {"start_step": "often"}, "start_step"),
        ("medianstop", {"steps": "3"}, "steps"),
        ("asha", {"eta": "1"}, "eta"),
        ("none", {"eta": "1"}, "eta"),
    ],
)
def test_wrong_settings_are_named(name, settings, wrong):
    causes = stoppers.get(name).validate(settings)
    assert [cause.field for cause in causes] == [f"spec.earlyStopping.algorithmSettings[{wrong}]"]


def test_who_is_not_known_is_told_who_is():
    with pytest.raises(LookupError, match="known: asha, medianstop, none"):
        stoppers.get("median")


def test_asha_asks_at_rungs_and_lets_the_best_part_go_on():
    asha = stoppers.get("asha")
    settings = {"min_resource": "2", "eta": "3"}
    assert [n for n in range(1, 60) if asha.asks_at(settings, n)] == [2, 6, 18, 54]
    others = [(3.0, 2.0), (5.0, 4.0), (1.0,), (9.0, 8.0, 7.0), (6.0, 6.0), (7.0, 7.0)]
    assert not asha.stops(DOWN, settings, (9.0, 1.0), others)
    assert not asha.stops(DOWN, settings, (9.0, 3.0), others)
    assert asha.stops(DOWN, settings, (9.0, 5.0), others)
    assert not asha.stops(UP, settings, (9.0, 5.0), others)
    assert not asha.stops(DOWN, settings, (9.0, 5.0), [])
    assert asha.stops(DOWN, settings, (float("nan"), float("nan")), [])


def test_the_best_value_so_far_counts_from_the_start_step_on():
    rule = Rule(name="accuracy", value="0.5", comparison="less", start_step=3)
    watch = Watch(UP, [rule])
    assert [watch.report("accuracy", value) for value in (0.1, 0.2, 0.3)] == [False, False, True]
    lucky = Watch(UP, [rule])
    assert not any(lucky.report("accuracy", value) for value in (0.1, 0.6, 0.1, 0.1))


def test_all_rules_have_to_be_met_and_other_metrics_count_as_they_come():
    watch = Watch(
        DOWN,
        [
            Rule(name="loss", value="1", comparison="greater"),
            Rule(name="grad", value="0", comparison="equal"),
        ],
    )
    assert not watch.report("loss", 2.0)
    assert not watch.report("grad", 1.0)
    assert not watch.report("other", 0.0)
    assert watch.report("grad", 0.0)
    assert watch.report("loss", 0.0)
    assert not Watch(DOWN, []).report("loss", 1.0)

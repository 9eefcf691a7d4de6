"""What a Gaussian process makes of few trials."""

import dataclasses
import itertools
import statistics

import numpy as np
from scipy import optimize

from wherry.testing.contracts import played_trial
from wherry.tuning import algorithms
from wherry.tuning.algorithm import Objective, Parameter, PastTrial, Question, Search
from wherry.tuning.models import likelihood, matern
from wherry.tuning.models.axes import Axis

_TRIALS = 20
_VALLEY = tuple(Parameter(name=f"x{at}", type="double", min="-5", max="10") for at in range(4))


def rosenbrock(assignments):
    xs = [float(assignments[one.name]) for one in _VALLEY]
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(xs))


def searched(seed, trials, **settings):
    given = Search(
        name="valley",
        parameters=_VALLEY,
        objectives=(Objective(metric="loss"),),
        settings=settings,
        seed=seed,
        max_trials=_TRIALS,
    )
    past: list[PastTrial] = []
    for index in range(trials):
        asked = Question(search=given, trials=tuple(past))
        (one,) = algorithms.get("bayesianoptimization").propose(asked).proposals
        loss = {"loss": rosenbrock(one.assignments)}
        played = played_trial(one, index)
        past.append(dataclasses.replace(played, state="Succeeded", metrics=loss))
    return [one.metrics["loss"] for one in past]


def test_ten_trials_after_the_first_ten_are_not_wasted():
    # Spread evenly ten leave 12,000 in the middle, and twenty 5,600.
    assert statistics.median(min(searched(seed, _TRIALS)) for seed in range(9)) < 2500


def test_expected_improvement_is_what_is_meant_where_nothing_is_said():
    plain, told, hedged = (
        searched(3, 12, n_initial_points="8", **settings)
        for settings in ({}, {"acq_func": "EI"}, {"acq_func": "gp_hedge"})
    )
    assert plain == told != hedged


def test_the_misfit_falls_as_its_slope_says():
    rng = np.random.default_rng(0)
    axes = [Axis(0, np.empty(0), bell=False)] * 2
    places, values = rng.random((9, 2)), rng.normal(size=9)
    pairs = likelihood.Pairs.of(places, lambda one, other: matern.differences(axes, one, other))
    for logs in (likelihood.middles(2), np.asarray([2.0, -3.0, 0.5, -4.0])):
        apart = optimize.check_grad(
            lambda at: likelihood.misfit(at, pairs, values)[0],
            lambda at: likelihood.misfit(at, pairs, values)[1],
            logs,
        )
        assert apart < 1e-4 * np.linalg.norm(likelihood.misfit(logs, pairs, values)[1])

"""What Katib's services would say of wrong settings is said of them over gRPC."""

import pytest

from wherry.tuning import algorithms, stoppers
from wherry.tuning.algorithm import Objective, Search
from wherry.tuning.api import wording


@pytest.mark.parametrize(
    ("algorithm", "settings", "told"),
    [
        ("random", {"unknown": "1"}, "unknown setting unknown for algorithm random"),
        ("tpe", {"gamma": "1.5"}, "gamma should be in the range of (0, 1)"),
        ("tpe", {"random_state": "-1"}, "random_state should be great or equal than zero"),
        (
            "bayesianoptimization",
            {"acq_func": "best"},
            "acq_func best is not supported in Bayesian optimization",
        ),
        (
            "random",
            {"unknown": "1", "random_state": "x"},
            "unknown setting unknown for algorithm random; failed to validate random_state(x): "
            "random_state must be a whole number at least 0, is 'x'",
        ),
    ],
)
def test_of_algorithms(algorithm, settings, told):
    search = Search(
        name="e", objectives=(Objective(metric="loss", type="minimize"),), settings=settings
    )
    causes = algorithms.get(algorithm).validate(search)
    assert wording.details(algorithm, settings, causes) == told


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"min_trials_required": "0"}, "min_trials_required must be greater than zero (>0)"),
        ({"start_step": "0"}, "start_step must be greater or equal than one (>=1)"),
    ],
)
def test_of_stoppers(settings, told):
    causes = stoppers.get("medianstop").validate(settings)
    assert wording.details("medianstop", settings, causes) == told


def test_what_katib_has_no_words_for_is_told_in_ours():
    search = Search(name="e", objectives=(Objective(metric="loss", type="minimize"),))
    causes = algorithms.get("cmaes").validate(search)
    assert wording.details("cmaes", {}, causes) == (
        "spec.parameters: cmaes needs at least two parameters of type int or double with some range"
    )

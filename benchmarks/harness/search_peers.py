"""Searches a problem with libraries', one trial at a time, in an interpreter that has them.

None of them is a dependency of Wherry: `search_curves` runs this module in an environment of its own::

    python -m harness.search_peers LIBRARY NAME PROBLEM TRIALS SEED...

A line of JSON for each seed, as soon as it is there: the seed and the least regret after each trial.
"""

import json
import math
import sys
import warnings
from collections.abc import Callable, Sequence

from harness import search_problems
from harness.search_problems import Curve, Point, Problem
from wherry.tuning.algorithm import Parameter

# Without it every seed gives the same points.
_SETTINGS = {"QMCSampler": {"scramble": True}}


def main(arguments: Sequence[str]) -> int:
    """Print curves."""
    library, name, title, trials, *seeds = arguments
    problem = search_problems.named(title)
    for seed in map(int, seeds):
        curve = _PEERS[library](name, problem, seed=seed, trials=int(trials))
        print(json.dumps([seed, curve]), flush=True)
    return 0


def _optunas(name: str, problem: Problem, *, seed: int, trials: int) -> Curve:
    """How one of Optuna's samplers does."""
    import optuna  # noqa: PLC0415  (benches import this module where no peer is installed)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = getattr(optuna.samplers, name)(seed=seed, **_SETTINGS.get(name, {}))
        study = optuna.create_study(sampler=sampler)
        study.optimize(lambda trial: problem.regret(suggested(problem, trial)), n_trials=trials)
    return search_problems.least([trial.value for trial in study.trials], trials)


def _hyperopts(name: str, problem: Problem, *, seed: int, trials: int) -> Curve:
    """How Hyperopt does, which Katib's ``tpe`` and ``random`` are."""
    import hyperopt  # noqa: PLC0415  (as above)
    import numpy as np  # noqa: PLC0415  (as above)

    kept = hyperopt.Trials()
    hyperopt.fmin(
        lambda point: problem.regret(_present(problem, point)),
        {one.name: _hyperopt(hyperopt.hp, one) for one in problem.parameters},
        algo=getattr(hyperopt, name).suggest,
        max_evals=trials,
        trials=kept,
        rstate=np.random.default_rng(seed),
        show_progressbar=False,
        verbose=False,
    )
    return search_problems.least(kept.losses(), trials)


def _scikit_optimizes(name: str, problem: Problem, *, seed: int, trials: int) -> Curve:
    """How scikit-optimize does, which Katib's ``bayesianoptimization`` is."""
    import skopt  # noqa: PLC0415  (as above)

    names = [one.name for one in problem.parameters]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = getattr(skopt, name)(
            lambda values: problem.regret(_present(problem, dict(zip(names, values, strict=True)))),
            [_skopt(skopt.space, one) for one in problem.parameters],
            n_calls=trials,
            random_state=seed,
        )
    return search_problems.least(list(found.func_vals), trials)


_PEERS: dict[str, Callable[..., Curve]] = {
    "Optuna": _optunas,
    "Hyperopt": _hyperopts,
    "scikit-optimize": _scikit_optimizes,
}


def suggested(problem: Problem, trial: object) -> Point:
    """Return the point that one of Optuna's trials is given."""
    found: dict[str, str] = {}
    for one in problem.parameters:
        if not one.parent or found.get(one.parent) in one.parent_values:
            found[one.name] = str(_suggestion(one, trial))
    return found


def _suggestion(one: Parameter, trial: object) -> object:
    if one.values:
        return trial.suggest_categorical(one.name, list(one.values))
    if one.type == "int":
        return trial.suggest_int(one.name, int(one.min), int(one.max))
    log = one.distribution == "logUniform"
    return trial.suggest_float(one.name, float(one.min), float(one.max), log=log)


def _hyperopt(hp: object, one: Parameter) -> object:
    if one.values:
        return hp.choice(one.name, list(one.values))
    if one.type == "int":
        return hp.uniformint(one.name, int(one.min), int(one.max))
    if one.distribution == "logUniform":
        return hp.loguniform(one.name, math.log(float(one.min)), math.log(float(one.max)))
    return hp.uniform(one.name, float(one.min), float(one.max))


def _skopt(space: object, one: Parameter) -> object:
    if one.values:
        return space.Categorical(list(one.values))
    if one.type == "int":
        return space.Integer(int(one.min), int(one.max))
    prior = "log-uniform" if one.distribution == "logUniform" else "uniform"
    return space.Real(float(one.min), float(one.max), prior=prior)


def _present(problem: Problem, values: dict[str, object]) -> Point:
    """The parameters that are there; these libraries are given all of them, as Katib gives them."""
    found: dict[str, str] = {}
    for one in problem.parameters:
        if not one.parent or found.get(one.parent) in one.parent_values:
            value = values[one.name]
            found[one.name] = str(int(value) if one.type == "int" else value)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Searches a problem, one trial at a time: with our algorithms, and with libraries'."""

import itertools
import math
import time
import warnings
from collections.abc import Callable, Iterator

from harness.search_problems import Point, Problem
from wherry.tuning import algorithms
from wherry.tuning.algorithm import Objective, Parameter, PastTrial, Question, Search

_ROUNDS = 6

Curve = list[float]
"""The least regret after each trial."""


def ours(name: str, problem: Problem, *, seed: int, trials: int) -> Curve:
    """Return how one of our algorithms does."""
    search = Search(
        name="bench",
        parameters=problem.parameters,
        objectives=(Objective(metric="loss"),),
        seed=seed,
        max_trials=trials,
    )
    past: list[PastTrial] = []
    for index in range(trials):
        answer = algorithms.get(name).propose(Question(search=search, trials=tuple(past)))
        if not answer.proposals:
            break
        (proposal,) = answer.proposals
        past.append(
            PastTrial(
                name=str(index),
                assignments=proposal.assignments,
                state="Succeeded",
                metrics={"loss": problem.regret(proposal.assignments)},
                labels=proposal.labels,
                index=index,
            )
        )
    return _least((trial.metrics["loss"] for trial in past), trials)


def optunas(name: str, problem: Problem, *, seed: int, trials: int) -> Curve:
    """Return how one of Optuna's samplers does.

    Raises:
        ImportError: it needs what is not installed.
    """
    import optuna  # noqa: PLC0415  (its import takes long)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=getattr(optuna.samplers, name)(seed=seed))
        study.optimize(lambda trial: problem.regret(_suggested(problem, trial)), n_trials=trials)
    return _least((trial.value for trial in study.trials), trials)


def hyperopts(name: str, problem: Problem, *, seed: int, trials: int) -> Curve:
    """Return how Hyperopt does, which Katib's ``tpe`` and ``random`` are.

    Raises:
        ImportError: it is not installed.
    """
    import hyperopt  # noqa: PLC0415  (as above, where it is installed)
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
    return _least(kept.losses(), trials)


def scikit_optimizes(name: str, problem: Problem, *, seed: int, trials: int) -> Curve:
    """Return how scikit-optimize does, which Katib's ``bayesianoptimization`` is.

    Raises:
        ImportError: it is not installed.
    """
    import skopt  # noqa: PLC0415  (as above, where it is installed)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = getattr(skopt, name)(
            lambda values: problem.regret(
                _present(
                    problem,
                    dict(zip((one.name for one in problem.parameters), values, strict=True)),
                )
            ),
            [_skopt(skopt.space, one) for one in problem.parameters],
            n_calls=trials,
            random_state=seed,
        )
    return _least(found.func_vals, trials)


def seconds_of_ours(name: str, problem: Problem, trials: int) -> list[float]:
    """Return how long an algorithm takes for one proposal that follows so many trials."""
    search = Search(
        name="bench", parameters=problem.parameters, objectives=(Objective(metric="loss"),)
    )
    answer = algorithms.get("random").propose(Question(search=search, wanted=trials))
    past = tuple(
        PastTrial(
            name=str(index),
            assignments=proposal.assignments,
            state="Succeeded",
            metrics={"loss": problem.regret(proposal.assignments)},
            index=index,
        )
        for index, proposal in enumerate(answer.proposals)
    )
    question = Question(search=search, trials=past)
    return [_seconds(lambda: algorithms.get(name).propose(question)) for _ in range(_ROUNDS)][1:]


def seconds_of_optuna(problem: Problem, trials: int) -> list[float]:
    """Return how long Optuna's TPE takes for the same."""
    import optuna  # noqa: PLC0415  (its import takes long)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: problem.regret(_suggested(problem, trial)), n_trials=trials)
    study.sampler = optuna.samplers.TPESampler(seed=0)
    return [_seconds(lambda: _suggested(problem, study.ask())) for _ in range(_ROUNDS)][1:]


def _seconds(what: Callable[[], object]) -> float:
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def _least(values: Iterator[float], trials: int) -> Curve:
    curve = list(itertools.accumulate(values, min))
    return curve + curve[-1:] * (trials - len(curve))


def _suggested(problem: Problem, trial: object) -> Point:
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


PEERS: dict[str, Callable[..., Curve]] = {
    "Optuna": optunas,
    "Hyperopt": hyperopts,
    "scikit-optimize": scikit_optimizes,
}

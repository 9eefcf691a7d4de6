"""Every search algorithm keeps to the contract."""

import inspect
import os
import subprocess
import sys
from typing import ClassVar

import pytest

from wherry.testing.contracts import AlgorithmContract
from wherry.tuning import algorithms, wire
from wherry.tuning.algorithm import Parameter, Question

BUDGET = {"r_l": "9", "resource_name": "width"}


class TestRandom(AlgorithmContract):
    algorithm = algorithms.get("random")


class TestSobol(AlgorithmContract):
    algorithm = algorithms.get("sobol")


class TestTPE(AlgorithmContract):
    algorithm = algorithms.get("tpe")
    settings: ClassVar = {"n_startup_trials": "6"}


class TestMultivariateTPE(AlgorithmContract):
    algorithm = algorithms.get("multivariate-tpe")
    settings: ClassVar = {"n_startup_trials": "6"}


class TestBayesianOptimization(AlgorithmContract):
    algorithm = algorithms.get("bayesianoptimization")
    settings: ClassVar = {"n_initial_points": "6"}


class TestExtraTrees(AlgorithmContract):
    algorithm = algorithms.get("bayesianoptimization")
    settings: ClassVar = {"n_initial_points": "6", "base_estimator": "ET", "acq_func": "LCB"}


class TestForest(AlgorithmContract):
    algorithm = algorithms.get("bayesianoptimization")
    settings: ClassVar = {"n_initial_points": "6", "base_estimator": "RF", "acq_func": "PI"}


class TestCMAES(AlgorithmContract):
    algorithm = algorithms.get("cmaes")
    settings: ClassVar = {"restart_strategy": "bipop", "sigma": "0.3"}


class TestHyperband(AlgorithmContract):
    algorithm = algorithms.get("hyperband")
    settings: ClassVar = BUDGET
    free = frozenset({"width"})
    ends = False


class TestASHA(AlgorithmContract):
    algorithm = algorithms.get("asha")
    settings: ClassVar = BUDGET
    free = frozenset({"width"})
    ends = False


class TestBOHB(AlgorithmContract):
    algorithm = algorithms.get("bohb")
    settings: ClassVar = BUDGET
    free = frozenset({"width"})
    ends = False


class TestPBT(AlgorithmContract):
    algorithm = algorithms.get("pbt")
    settings: ClassVar = {
        "suggestion_trial_dir": "/opt/katib/data",
        "n_population": "5",
        "truncation_threshold": "0.4",
    }
    parameters = tuple(one for one in AlgorithmContract.parameters if one.name != "lr")
    ends = False


class TestNSGA2(AlgorithmContract):
    algorithm = algorithms.get("nsga2")
    settings: ClassVar = {"population_size": "6"}


class TestGrid(AlgorithmContract):
    algorithm = algorithms.get("grid")
    parameters = (
        Parameter(name="a", type="int", min="1", max="9"),
        *(one for one in AlgorithmContract.parameters if one.name not in {"lr", "width"}),
    )

    def search(self, **changes):
        return super().search(**({"max_trials": 400} | changes))


@pytest.mark.timeout(300)
def test_every_algorithm_goes_on_in_a_new_process_as_if_nothing_had_happened():
    contracts: list[AlgorithmContract] = [
        one()
        for one in globals().values()
        if inspect.isclass(one)
        and issubclass(one, AlgorithmContract)
        and one.__module__ == __name__
    ]
    found = {one.algorithm.name: one for one in contracts}
    assert set(found) == {one.name for one in algorithms.ALL if not one.architectures}
    questions, answers = b"", []
    for name, contract in found.items():
        search = contract.search()
        question = Question(search=search, trials=tuple(contract.run(search, 13)), wanted=2)
        questions += wire.propose(name, question)
        answers.append(contract.algorithm.propose(question))
    done = subprocess.run(
        [sys.executable, "-m", "wherry.tuning.worker"],
        # Digits of sums depend on how they are divided.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        input=questions,
        stdout=subprocess.PIPE,
        check=True,
        timeout=250,
    )
    assert [wire.answer(line) for line in done.stdout.splitlines(keepends=True)] == answers

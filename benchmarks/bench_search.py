"""How good search algorithms are: the regret that is left after so many trials, against libraries.

Values are medians over seeds; the ratio is ours by the peer's, below 1 ours is nearer to the optimum.
Beside each stands the rank test: how likely ranks this much in our favour are by chance alone (near 0
ours is better, near 1 the peer is). Peers that are not installed are left out: Optuna's GP needs PyTorch, Hyperopt and
scikit-optimize are what Katib's ``tpe`` and ``bayesianoptimization`` are.
"""

import contextlib
import statistics
from collections.abc import Iterator

from harness import search_problems, searching
from harness.rows import Row
from harness.search_problems import Problem
from harness.searching import Curve

_PAIRS = (
    ("random", "Optuna", "RandomSampler"),
    ("sobol", "Optuna", "QMCSampler"),
    ("tpe", "Optuna", "TPESampler"),
    ("tpe", "Hyperopt", "tpe"),
    ("multivariate-tpe", "Optuna", "TPESampler"),
    ("cmaes", "Optuna", "CmaEsSampler"),
    ("bayesianoptimization", "Optuna", "GPSampler"),
    ("bayesianoptimization", "Optuna", "TPESampler"),
    ("bayesianoptimization", "scikit-optimize", "gp_minimize"),
)
_SMALLEST = 1e-9
"""Regrets below this are the same: zero."""


def bench(*, quick: bool) -> list[Row]:
    """Compare on every problem that both sides can search."""
    seeds, marks = (2, (12,)) if quick else (20, (20, 60, 200))
    problems = search_problems.all_of_them()
    rows = [row for one in problems for row in _of_problem(one, seeds=seeds, marks=marks)]
    return [*rows, *_speeds(problems[1], 100 if quick else 1000)]


def _speeds(problem: Problem, trials: int) -> Iterator[Row]:
    """How long one proposal takes after many trials; the peer is given them beforehand."""
    peer = searching.seconds_of_optuna(problem, trials)
    for name in ("random", "sobol", "tpe", "bayesianoptimization", "cmaes", "nsga2"):
        value = statistics.median(searching.seconds_of_ours(name, problem, trials))
        theirs = statistics.median(peer) * 1000
        yield Row(
            f"one proposal of {name} after {trials} trials",
            value * 1000,
            "ms",
            "Optuna TPESampler",
            theirs,
        )


def _of_problem(problem: Problem, *, seeds: int, marks: tuple[int, ...]) -> Iterator[Row]:
    known: dict[tuple[str, str], list[Curve]] = {}
    for name, library, sampler in _PAIRS:
        if name == "cmaes" and problem.name == "digits (table)":
            # It is for numbers with a range.
            continue
        with contextlib.suppress(ImportError):
            for key in ((library, sampler), ("", name)):
                if key not in known:
                    known[key] = [
                        _curve(problem, *key, seed=seed, trials=marks[-1]) for seed in range(seeds)
                    ]
            pair = known["", name], known[library, sampler]
            yield from _rows(f"{problem.name}, {name}", f"{library} {sampler}", pair, marks)


def _curve(problem: Problem, library: str, name: str, *, seed: int, trials: int) -> Curve:
    search = searching.PEERS[library] if library else searching.ours
    return search(name, problem, seed=seed, trials=trials)


def _rows(
    case: str, peer: str, pair: tuple[list[Curve], list[Curve]], marks: tuple[int, ...]
) -> Iterator[Row]:
    from scipy import stats  # noqa: PLC0415  (only where there is something to compare)

    for mark in marks:
        mine, theirs = ([max(curve[mark - 1], _SMALLEST) for curve in side] for side in pair)
        values = statistics.median(mine), statistics.median(theirs)
        yield Row(f"{case}, {mark} trials", values[0], "regret", peer, values[1])
        chance = stats.mannwhitneyu(mine, theirs, alternative="less").pvalue
        yield Row(f"{case}, {mark} trials, rank test against {peer}", float(chance), "p")

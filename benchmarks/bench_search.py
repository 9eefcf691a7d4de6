"""How good search algorithms are: the regret that is left after so many trials, against libraries.

Values are medians over seeds; the ratio is ours by the peer's, below 1 ours is nearer to the optimum.
Beside each stands the rank test: how likely ranks this much in our favour are by chance alone (near 0
ours is better, near 1 the peer is). Hyperopt and scikit-optimize are what Katib's ``tpe`` and
``bayesianoptimization`` are, Optuna's ``CmaEsSampler`` and ``QMCSampler`` do what its ``cmaes`` and ``sobol`` do.

All of it takes hours; what has been searched is kept (`search_curves`), and WHERRY_BENCH_SECONDS says
after how long no more is searched. A case then tells from how many seeds it is.
"""

import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from harness import peers, search_curves, search_problems, searching
from harness.rows import Row
from harness.search_problems import Curve, Problem


@dataclass(frozen=True)
class _Pair:
    """One of ours and what it is compared with; `most` trials, where more would take too long."""

    name: str
    library: str
    peer: str
    most: int = 200

    def fits(self, problem: Problem) -> bool:
        """Whether both can search it: evolution is for numbers with a range."""
        return self.name != "cmaes" or problem.name != "digits (table)"


_PAIRS = (
    _Pair("random", "Hyperopt", "rand"),
    _Pair("random", "Optuna", "RandomSampler"),
    _Pair("sobol", "Optuna", "QMCSampler"),
    _Pair("tpe", "Optuna", "TPESampler"),
    _Pair("tpe", "Hyperopt", "tpe"),
    _Pair("multivariate-tpe", "Optuna", "TPESampler"),
    _Pair("cmaes", "Optuna", "CmaEsSampler"),
    _Pair("bayesianoptimization", "Optuna", "TPESampler"),
    _Pair("bayesianoptimization", "Optuna", "GPSampler"),
    _Pair("bayesianoptimization", "scikit-optimize", "gp_minimize", most=60),
)
_MARKS = (20, 60, 200)
_SEEDS = (3, 10, 20)
"""First few for all, then more."""
_SMALLEST = 1e-9
"""Regrets below this are the same: zero."""


def bench(*, quick: bool) -> list[Row]:
    """Compare on every problem that both sides can search."""
    peers.one_thread()
    problems = search_problems.all_of_them()
    marks = (12,) if quick else _MARKS
    _search(problems, marks, (2,) if quick else _SEEDS)
    rows = [row for one in problems for row in _of_problem(one, marks)]
    return [*rows, *_speeds(problems[1], 100 if quick else 1000)]


def _search(problems: list[Problem], marks: tuple[int, ...], counts: tuple[int, ...]) -> None:
    """Search what has not been searched yet, for as long as there is time."""
    until = time.monotonic() + float(os.environ.get("WHERRY_BENCH_SECONDS", "inf"))
    for count in counts:
        for problem in problems:
            for pair in _PAIRS:
                trials = min(marks[-1], pair.most)
                for library, name in (("", pair.name), (pair.library, pair.peer)):
                    if pair.fits(problem):
                        search_curves.search(
                            library, name, problem, seeds=range(count), trials=trials, until=until
                        )


def _of_problem(problem: Problem, marks: tuple[int, ...]) -> Iterator[Row]:
    for pair in _PAIRS:
        ours = search_curves.kept("", pair.name, problem)
        theirs = search_curves.kept(pair.library, pair.peer, problem)
        for mark in marks:
            found = [_regrets(side, mark) for side in (ours, theirs)]
            if all(found):
                yield from _compared(problem, pair, mark, (found[0], found[1]))


def _regrets(curves: dict[int, Curve], mark: int) -> list[float]:
    long_enough = [curve for curve in curves.values() if len(curve) >= mark]
    return [max(curve[mark - 1], _SMALLEST) for curve in long_enough]


def _compared(
    problem: Problem, pair: _Pair, mark: int, found: tuple[list[float], list[float]]
) -> Iterator[Row]:
    from scipy import stats  # noqa: PLC0415  (after `peers.one_thread`: it imports NumPy)

    ours, theirs = found
    case, peer = f"{problem.name}, {pair.name}, {mark} trials", f"{pair.library} {pair.peer}"
    counts = len(ours), len(theirs)
    if min(counts) < _SEEDS[-1]:
        case += f" ({counts[0]} and {counts[1]} seeds)"
    yield Row(case, statistics.median(ours), "regret", peer, statistics.median(theirs))
    # Where all regrets are the same there is nothing to rank.
    same = len({*ours, *theirs}) == 1
    chance = 0.5 if same else stats.mannwhitneyu(ours, theirs, alternative="less").pvalue
    yield Row(f"{case}, rank test against {peer}", float(chance), "p")


def _speeds(problem: Problem, trials: int) -> Iterator[Row]:
    """How long one proposal takes after many trials; the peer is given them beforehand."""
    theirs = statistics.median(searching.seconds_of_optuna(problem, trials)) * 1000
    for name in ("random", "sobol", "tpe", "bayesianoptimization", "cmaes", "nsga2"):
        case = f"one proposal of {name} after {trials} trials"
        found = searching.seconds_of_ours(name, problem, trials)
        alone, asked = (1000 * statistics.median(found[unit]) for unit in ("cpu-ms", "ms"))
        yield Row(case, alone, "cpu-ms", "Optuna TPESampler", theirs)
        yield Row(f"{case}, asked in its process", asked, "ms")

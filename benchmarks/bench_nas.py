"""Architecture search on handwritten digits: how good is what enas and darts find, beside chance?

Both sides have the same budget: for ENAS as many trials, for DARTS as much CPU time. What a search has
chosen is trained again from other weights, several times, and judged by images that no search has seen:
as in the trials of the search, which is what it was asked to find the best architecture for, and for good.
Values are medians over seeds, with the least and the largest beside them; the ratio is ours by random
search's, below 1 ours makes fewer errors.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness import nas, nas_worker, peers
from harness.rows import Row

_SEEDS, _TRIALS = range(7), 96
_SEEDS_OF_DARTS = range(5)
"""Of its searches one takes as long as a dozen of ENAS' trials."""


def bench(*, quick: bool) -> list[Row]:
    """Compare; what was trained in an earlier run is not trained again."""
    peers.one_thread()
    seeds, trials = (range(1), 16) if quick else (_SEEDS, _TRIALS)
    of_darts = seeds if quick else _SEEDS_OF_DARTS
    rows: list[Row] = []
    with nas.trainer() as trained:
        ours = [nas.enas(trained, seed=seed, trials=trials) for seed in seeds]
        theirs = [nas.layers_at_random(trained, seed=seed, trials=trials) for seed in seeds]
        for case, most, how, times in (
            (f"the {nas.BEST} best trained again as in a trial", nas.BEST, nas_worker.AGAIN, 2),
            (f"the {nas.BEST} best, 4 epochs", nas.BEST, nas_worker.GOOD, 1),
            ("the best, 4 epochs", 1, nas_worker.GOOD, 2),
        ):
            errors = [
                [_mean_error(trained, told[:most], how, times) for told, _ in side]
                for side in (ours, theirs)
            ]
            rows += _compared(f"enas, {trials} trials, {case}", *errors)
        latest = trials // 4
        for case, first, most in (
            ("the best", 0, 1),
            (f"the {nas.BEST} best", 0, nas.BEST),
            (f"the last {latest}", -latest, latest),
        ):
            shares = [
                [_wrong(accuracies[first:], most) for _, accuracies in side]
                for side in (ours, theirs)
            ]
            rows += _compared(f"enas, {case} of {trials} trials while it searches", *shares)
        found = [nas.darts(trained, seed=seed) for seed in of_darts]
        drawn = [nas.cells_at_random(trained, seed=seed) for seed in of_darts]
        for how in (nas_worker.GOOD, nas_worker.LONG):
            errors = [
                [nas.error_of_cells(trained, kept, how) for kept in side] for side in (found, drawn)
            ]
            rows += _compared(f"darts, {how['epochs']} epochs", *errors)
        return rows


def _mean_error(
    trained: nas.Trainer, told: Sequence[Any], how: Mapping[str, Any], times: int
) -> float:
    """The mean error of architectures, each trained several times."""
    return statistics.fmean(nas.error_of_layers(trained, each, how, times) for each in told)


def _wrong(accuracies: Sequence[float], most: int) -> float:
    """The mean error of the best trials, as the search saw them."""
    return 1.0 - statistics.fmean(sorted(accuracies)[-most:])


def _compared(case: str, ours: Sequence[float], theirs: Sequence[float]) -> Iterator[Row]:
    from scipy import stats  # noqa: PLC0415  (after `peers.one_thread`: it imports NumPy)

    for name, of in (("median", statistics.median), ("least", min), ("largest", max)):
        yield Row(f"{case}: errors, {name}", 100 * of(ours), "%", "random search", 100 * of(theirs))
    chance = stats.mannwhitneyu(ours, theirs, alternative="less").pvalue
    yield Row(f"{case}: rank test against random search", float(chance), "p")

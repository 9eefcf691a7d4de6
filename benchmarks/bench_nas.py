"""Architecture search on handwritten digits: how good is what enas and darts find, beside chance?

Both sides have the same budget: for ENAS as many trials, for DARTS as many operations on images. What
a search has chosen is trained for good, twice, and judged by images that no search has seen.
Values are medians over seeds, with the least and the largest beside them; the ratio is ours by random
search's, below 1 ours makes fewer errors.
"""

import statistics
from collections.abc import Iterator, Sequence

from harness import nas, peers
from harness.rows import Row

_SEEDS, _TRIALS = range(5), 48


def bench(*, quick: bool) -> list[Row]:
    """Compare; what was trained in an earlier run is not trained again."""
    peers.one_thread()
    seeds, trials = (range(1), 16) if quick else (_SEEDS, _TRIALS)
    with nas.trainer() as trained:
        ours = [nas.enas(trained, seed=seed, trials=trials) for seed in seeds]
        theirs = [nas.layers_at_random(trained, seed=seed, trials=trials) for seed in seeds]
        case = f"enas, {trials} trials"
        rows = list(_compared(case, [one[0] for one in ours], [one[0] for one in theirs]))
        latest = trials // 4
        means = [
            [1.0 - statistics.fmean(accuracies[-latest:]) for _, accuracies in side]
            for side in (ours, theirs)
        ]
        rows += _compared(f"enas, mean of the last {latest} trials", *means)
        found = [nas.darts(trained, seed=seed) for seed in seeds]
        drawn = [nas.cells_at_random(trained, seed=seed) for seed in seeds]
        return [*rows, *_compared("darts", found, drawn)]


def _compared(case: str, ours: Sequence[float], theirs: Sequence[float]) -> Iterator[Row]:
    from scipy import stats  # noqa: PLC0415  (only where there is something to compare)

    for name, of in (("median", statistics.median), ("least", min), ("largest", max)):
        yield Row(f"{case}: errors, {name}", 100 * of(ours), "%", "random search", 100 * of(theirs))
    chance = stats.mannwhitneyu(ours, theirs, alternative="less").pvalue
    yield Row(f"{case}: rank test against random search", float(chance), "p")

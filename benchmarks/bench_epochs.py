"""What early stopping saves: epochs until a network is within one percent of the best, on digits.

The peer is always the random search that stops nothing; a ratio below 1 is what is spared.
"""

import statistics

from harness import epochs
from harness.rows import Row

_NEAR = 0.01


def bench(*, quick: bool) -> list[Row]:
    """Compare the stoppers, then the algorithms that halve."""
    seeds = range(3 if quick else 20)
    plain = statistics.median(epochs.with_stopper("none", seed=s, near=_NEAR) for s in seeds)
    rows = []
    for name in ("medianstop", "asha"):
        spent = [epochs.with_stopper(name, seed=seed, near=_NEAR) for seed in seeds]
        rows.append(
            Row(f"early stopping {name}", statistics.median(spent), "epochs", "none", plain)
        )
    for name in ("hyperband", "asha", "bohb"):
        spent = [epochs.with_algorithm(name, seed=seed, near=_NEAR) for seed in seeds]
        rows.append(Row(f"algorithm {name}", statistics.median(spent), "epochs", "none", plain))
    return rows

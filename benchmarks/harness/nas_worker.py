"""Runs the trials of ``examples/05-architectures`` one after another, in an environment that has what they import.

A line of JSON for each: the program with its arguments, or what is to be trained for good; back come
the lines that it printed, or the share of errors on images that no search has looked at.
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "05-architectures"
AGAIN = {"parts": (400, 400, 997), "epochs": 4}
"""As a trial of ENAS trains it, from other weights, and judged by images that no search has seen."""
GOOD = {"parts": (1200, 597), "epochs": 4}
"""How an architecture is trained that has been chosen: then it meets images that no search has seen."""
LONG = {"parts": (1200, 597), "epochs": 16}
"""The same until errors hardly fall any more."""
SHORT = {"parts": (800, 400), "epochs": 4}
"""How it is trained to be compared with others."""


def main() -> int:
    """Answer until nobody asks any more."""
    sys.path.insert(0, str(EXAMPLE))
    answers = sys.stdout
    for line in sys.stdin:
        asked = json.loads(line)
        answer = _printed(**asked) if "arguments" in asked else _errors(**asked)
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def _printed(program: str, arguments: list[str]) -> list[str]:
    import darts  # noqa: PLC0415  (of the example, found since `main` has named its folder)
    import enas  # noqa: PLC0415  (as above)

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        {"darts": darts, "enas": enas}[program].main(arguments)
    return printed.getvalue().splitlines()


def _errors(kind: str, told: Any, seed: int, parts: list[int], epochs: int) -> float:
    """Train an architecture on the first images; return the share of errors on the last."""
    import networks  # noqa: PLC0415  (as above)

    network, size = _cells(told) if kind == "cells" else _layers(told)
    learnt, *_, unseen = networks.digits(parts)
    for weights in networks.trained(network, learnt, epochs=epochs, seed=seed, size=size):
        share = networks.accuracy(network, weights, unseen)
    return 1.0 - share


def _layers(told: Any) -> tuple[Any, int]:
    import enas  # noqa: PLC0415  (as above)

    return enas.network(*told), enas.BATCH


def _cells(told: Any) -> tuple[Any, int]:
    import darts  # noqa: PLC0415  (as above)

    kept, sizes = told
    nodes = range(2, 2 + sizes["nodes"])
    genotype = darts.Genotype(kept[0], nodes, kept[1], nodes)
    return darts.network(darts.keeping(genotype), **sizes), 32


if __name__ == "__main__":
    sys.exit(main())

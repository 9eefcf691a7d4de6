"""Runs the benches of this folder, prints their figures and keeps them in ``build/bench.json``.

    python benchmarks/run.py                      all
    python benchmarks/run.py --only api watch     some
    python benchmarks/run.py --quick              few rounds and small loads: does it work at all?

A bench is a file ``bench_NAME.py`` with a function ``bench(*, quick: bool) -> list[Row]``.
"""

import argparse
import dataclasses
import importlib
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from harness import rows
from harness.rows import Row

_FOLDER = Path(__file__).resolve().parent
_OUTPUT = _FOLDER.parent / "build" / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return 1 when a bench failed."""
    known = sorted(path.stem.removeprefix("bench_") for path in _FOLDER.glob("bench_*.py"))
    options = _parser(known).parse_args(arguments)
    # As an exception it takes the platforms along that are running.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    found: list[Row] = []
    failed = []
    for name in options.only or known:
        print(f"{name} …", file=sys.stderr, flush=True)
        started = time.monotonic()
        try:
            measured = importlib.import_module(f"bench_{name}").bench(quick=options.quick)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            failed.append(name)
            print(f"{name} failed: {error}", file=sys.stderr)
            continue
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
        found += [dataclasses.replace(row, bench=name) for row in measured]
        rows.store(options.output, found)
    print(rows.table(found))
    return 1 if failed else 0


def _parser(known: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure Wherry.")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=known, default=[])
    parser.add_argument("--quick", action="store_true", help="small loads, one round")
    parser.add_argument("--output", type=Path, default=_OUTPUT, help="default: build/bench.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Keeps how searches did, one file for each problem and searcher, so that a long bench can go on later.

Below ``build/search/``: lines of ``[seed, [least regret after each trial]]``. What is kept of ours
counts only while the algorithm still proposes the same: the first seed is searched anew each time.

Libraries run in an environment of their own, ``build/search/peers``, made when it is first needed.
"""

import contextlib
import functools
import json
import subprocess
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from harness import peers, searching
from harness.search_problems import Curve, Problem

_BENCHMARKS = Path(__file__).resolve().parents[1]
_FOLDER = peers.BUILD / "search"
# The first is what our own modules import on the way.
_LIBRARIES = (
    "orjson",
    "optuna==5.0.0",
    "cmaes",
    "torch",
    "hyperopt==0.3.0",
    "scikit-optimize==0.10.2",
)


def search(
    library: str, name: str, problem: Problem, *, seeds: Sequence[int], trials: int, until: float
) -> None:
    """Search what is not kept yet.

    Args:
        library: Empty: ours.
        name: Of the algorithm, or of the library's function or class.
        problem: What is searched.
        seeds: Of the searches.
        trials: At least so many; a curve may be longer.
        until: When it ends, by the monotonic clock.

    Raises:
        subprocess.CalledProcessError: the library failed, or its environment could not be made.
    """
    if time.monotonic() > until:
        return
    path = _path(library, name, problem)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not library:
        _forget_if_changed(name, problem)
    known = kept(library, name, problem)
    missing = [seed for seed in seeds if len(known.get(seed, ())) < trials]
    searched = _searched(library, name, problem, seeds=missing, trials=trials)
    with path.open("a", encoding="utf-8") as file, contextlib.closing(searched):
        for seed, curve in searched:
            file.write(json.dumps([seed, curve]) + "\n")
            file.flush()
            if time.monotonic() > until:
                return


def kept(library: str, name: str, problem: Problem) -> dict[int, Curve]:
    """Return what is kept, by seed."""
    path = _path(library, name, problem)
    if not path.exists():
        return {}
    found: dict[int, Curve] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        # A line that was cut off when the bench was ended is searched again.
        with contextlib.suppress(ValueError):
            seed, curve = json.loads(line)
            found[seed] = max(curve, found.get(seed, []), key=len)
    return found


def _path(library: str, name: str, problem: Problem) -> Path:
    return _FOLDER / (library or "wherry") / name / f"{problem.name}.jsonl"


@functools.cache
def _forget_if_changed(name: str, problem: Problem) -> None:
    """Throw away what is kept of ours, if a search is another one today."""
    known = kept("", name, problem)
    first = min(known, default=0)
    if (
        known
        and searching.ours(name, problem, seed=first, trials=len(known[first])) != known[first]
    ):
        _path("", name, problem).unlink()


def _searched(
    library: str, name: str, problem: Problem, *, seeds: Sequence[int], trials: int
) -> Generator[tuple[int, Curve]]:
    if not library:
        for seed in seeds:
            yield seed, searching.ours(name, problem, seed=seed, trials=trials)
        return
    if not seeds:
        return
    python = peers.interpreter(_FOLDER / "peers", _LIBRARIES)
    command = [str(python), "-m", "harness.search_peers", library, name, problem.name]
    with subprocess.Popen(
        [*command, str(trials), *map(str, seeds)],
        env=peers.surroundings(_BENCHMARKS, _BENCHMARKS.parent / "src"),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                seed, curve = json.loads(line)
                yield seed, curve
        except GeneratorExit:
            process.kill()
            return
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)

"""Searches architectures on handwritten digits, by the trials of ``examples/05-architectures``.

What a trial printed is kept below ``build/nas/`` for as long as the example stays as it is, so that a
long bench can go on later.
"""

import ast
import contextlib
import functools
import hashlib
import json
import random
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness import nas_worker, peers
from wherry.tuning import algorithms, graphs
from wherry.tuning.algorithm import (
    Graph,
    Objective,
    Operation,
    Parameter,
    PastTrial,
    Question,
    Search,
)

_FOLDER = peers.BUILD / "nas"
_REQUIREMENTS = ("autograd==1.9.1", "scikit-learn>=1.5,<2")
_METRIC = "Validation-Accuracy"
_TIMES = 2
"""So often cells are trained that have been chosen."""
_PROGRAMS = {"layers": "enas", "cells": "darts"}
_KEPT_EDGES = 2
"""Of each node of a cell."""

_CELLS_FOR_THE_PRICE = 18
"""So many take the CPU time of DARTS' trial: 33 s, and 2 s each, measured by turns (17, rounded up)."""

Cell = list[list[tuple[str, int]]]
Kept = list[Cell]
"""Of normal and of reducing cells, for each node its operations, each with the state it starts from."""

Found = tuple[list[Any], list[float]]
"""The best architectures of a search, and the accuracy of each of its trials."""

BEST = 5

CELLS = {"layers": 3, "nodes": 2, "channels": 4}
_OPERATIONS = (
    ("separable_convolution", "3"),
    ("convolution", "3"),
    ("max_pooling", "3"),
    ("avg_pooling", "3"),
)
_SETTINGS = {
    "num_epochs": "40",
    "w_lr": "0.25",
    "alpha_lr": "0.1",
    "batch_size": "32",
    "init_channels": str(CELLS["channels"]),
    "num_nodes": str(CELLS["nodes"]),
}


class Trainer:
    """Runs trials, each once."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._known: dict[Path, dict[str, Any]] = {}

    def ask(self, **what: Any) -> Any:
        """Return what a trial printed, or an error."""
        program = what.get("program") or _PROGRAMS[what["kind"]]
        path = _FOLDER / f"{program}-{_version(program)}.jsonl"
        if path not in self._known:
            self._known[path] = _kept(path)
        known = self._known[path]
        asked = json.dumps(what)
        if asked not in known:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            print(asked, file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
            if not line:
                raise RuntimeError(f"the trial's process ended over {asked[:200]}")
            known[asked] = json.loads(line)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([asked, known[asked]]) + "\n")
        return known[asked]

    def error(self, kind: str, told: Any, how: Mapping[str, Any], times: int) -> float:
        """Return the share of errors of an architecture that is trained that often from other weights."""
        found = [self.ask(kind=kind, told=told, seed=1 + at, **how) for at in range(times)]
        return sum(found) / times


@contextlib.contextmanager
def trainer() -> Iterator[Trainer]:
    """Start the process that trains.

    Raises:
        subprocess.CalledProcessError: its environment could not be made.
    """
    _FOLDER.mkdir(parents=True, exist_ok=True)
    python = peers.interpreter(_FOLDER / "environment", _REQUIREMENTS)
    with subprocess.Popen(
        [python, nas_worker.__file__],
        env=peers.surroundings(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Trainer(process)
        assert process.stdin is not None
        process.stdin.close()


@functools.cache
def _version(program: str) -> str:
    files = [nas_worker.EXAMPLE / f"{name}.py" for name in ("networks", program)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _kept(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            # A line that was cut off when the bench was ended is asked again.
            with contextlib.suppress(ValueError):
                asked, answer = json.loads(line)
                found[asked] = answer
    return found


# ENAS


def layers() -> Graph:
    """Return the graph that is searched by ENAS, as ``enas.yaml`` of the example has it."""

    def list_of(name: str, *values: str) -> Parameter:
        return Parameter(name=name, type="categorical", values=values)

    size, filters = list_of("filter_size", "3", "5"), list_of("num_filter", "4", "8")
    kinds = list_of("reduction_type", "max_pooling", "avg_pooling")
    return Graph(
        layers=4,
        input_sizes=(8, 8, 1),
        output_sizes=(10,),
        operations=(
            Operation(type="convolution", parameters=(size, filters)),
            Operation(type="separable_convolution", parameters=(size, filters)),
            Operation(type="depthwise_convolution", parameters=(size,)),
            Operation(type="reduction", parameters=(kinds, list_of("pool_size", "2"))),
        ),
    )


def enas(trained: Trainer, *, seed: int, trials: int) -> Found:
    """Return the best architectures that ENAS finds, the very best first, and the accuracy of each trial."""
    search = _search(seed, trials)
    past: list[PastTrial] = []
    while len(past) < trials:
        question = Question(search=search, trials=tuple(past), wanted=search.parallel)
        for proposal in algorithms.get("enas").propose(question).proposals:
            past.append(_run(trained, proposal.assignments, len(past)))
    return _found(past)


def layers_at_random(trained: Trainer, *, seed: int, trials: int) -> Found:
    """Return the same of architectures drawn evenly: operations, and each skip there or not."""
    rng, graph = random.Random(seed), layers()
    choices = graphs.choices(graph)
    embedding = {
        str(at): {"opt_id": at, "opt_type": one.type, "opt_params": one.parameters}
        for at, one in enumerate(choices)
    }
    config = {"num_layers": graph.layers, "embedding": embedding}
    past: list[PastTrial] = []
    for index in range(trials):
        drawn = [
            [rng.randrange(len(choices)), *(rng.randrange(2) for _ in range(layer))]
            for layer in range(graph.layers)
        ]
        told = {"architecture": _quoted(drawn), "nn_config": _quoted(config)}
        past.append(_run(trained, told, index))
    return _found(past)


def _search(seed: int, trials: int) -> Search:
    return Search(
        name="nas",
        graph=layers(),
        objectives=(Objective(metric=_METRIC, type="maximize"),),
        max_trials=trials,
        parallel=8,
        seed=seed,
    )


def _run(trained: Trainer, told: Any, index: int) -> PastTrial:
    arguments = [f"--{name}={told[name]}" for name in ("architecture", "nn_config")]
    lines = trained.ask(program="enas", arguments=arguments)
    return PastTrial(
        name=str(index),
        assignments=told,
        state="Succeeded",
        metrics={_METRIC: max(map(_accuracy, lines))},
        index=index,
    )


def _found(past: list[PastTrial]) -> Found:
    best = sorted(past, key=lambda trial: -trial.metrics[_METRIC])[:BEST]
    names = ("architecture", "nn_config")
    told = [
        [json.loads(trial.assignments[name].replace("'", '"')) for name in names] for trial in best
    ]
    return told, [trial.metrics[_METRIC] for trial in past]


def error_of_layers(trained: Trainer, told: Any, how: Mapping[str, Any], times: int) -> float:
    """Return the share of errors of a network of layers, trained that often from other weights."""
    return trained.error("layers", told, how, times)


# DARTS


def darts(trained: Trainer, *, seed: int) -> Kept:
    """Return the cells that DARTS finds."""
    graph = Graph(
        layers=CELLS["layers"],
        input_sizes=(),
        output_sizes=(),
        operations=(
            *(
                Operation(
                    type=kind,
                    parameters=(Parameter(name="filter_size", type="categorical", values=(size,)),),
                )
                for kind, size in _OPERATIONS
            ),
            Operation(type="skip_connection", parameters=()),
        ),
    )
    search = Search(
        name="nas", graph=graph, objectives=(Objective(metric="Best-Genotype"),), settings=_SETTINGS
    )
    (proposal,) = algorithms.get("darts").propose(Question(search=search)).proposals
    told = proposal.assignments
    names = ("algorithm-settings", "search-space", "num-layers")
    arguments = [f"--{name}={told[name]}" for name in names]
    lines = trained.ask(program="darts", arguments=[*arguments, f"--seed={seed}"])
    return _genotype(lines[-1])


def cells_at_random(trained: Trainer, *, seed: int) -> Kept:
    """Return the best of cells drawn evenly, as many as may be trained for DARTS' price."""
    rng = random.Random(seed)
    operations = [*(f"{kind}_{size}x{size}" for kind, size in _OPERATIONS), "skip_connection"]
    tried = []
    for _ in range(_CELLS_FOR_THE_PRICE):
        kept = [_drawn(operations, rng) for _ in ("normal", "reduce")]
        error = trained.ask(kind="cells", told=[kept, CELLS], seed=0, **nas_worker.SHORT)
        tried.append((error, kept))
    return min(tried)[1]


def error_of_cells(trained: Trainer, kept: Kept, how: Mapping[str, Any]) -> float:
    """Return the share of errors of a network of cells."""
    return trained.error("cells", [kept, CELLS], how, _TIMES)


def _drawn(operations: list[str], rng: random.Random) -> Cell:
    return [
        [(rng.choice(operations), at) for at in sorted(rng.sample(range(2 + node), _KEPT_EDGES))]
        for node in range(CELLS["nodes"])
    ]


def _genotype(line: str) -> Kept:
    """What is kept of normal and of reducing cells, from a trial's last line."""
    kept = [re.search(rf"{kind}=(\[.*?\]\])", line) for kind in ("normal", "reduce")]
    return [ast.literal_eval(one.group(1)) if one else [] for one in kept]


def _accuracy(line: str) -> float:
    return float(line.removeprefix(f"{_METRIC}="))


def _quoted(value: object) -> str:
    return json.dumps(value).replace('"', "'")

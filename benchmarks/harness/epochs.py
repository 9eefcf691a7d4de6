"""Spends epochs on the table of digits, as trials that report after each of them would."""

from collections.abc import Iterator

from harness.search_problems import table
from wherry.tuning import algorithms, stoppers
from wherry.tuning.algorithm import Objective, Parameter, PastTrial, Proposal, Question, Search
from wherry.tuning.stopping import Watch

_OBJECTIVE = Objective(metric="error")
_MOST_TRIALS = 400


def with_stopper(name: str, *, seed: int, near: float) -> int:
    """Return how many epochs a random search spends until it has a good network.

    Args:
        name: Of the early stopper.
        seed: Of the search.
        near: How much worse than the best one a good network may be.
    """
    stopper, search = stoppers.get(name), _search("random", seed)
    spent, past = 0, []
    for proposal in _proposals("random", search, past):
        curve = _curve(proposal)
        watch = Watch(_OBJECTIVE, stopper.rules(_OBJECTIVE, {}, past))
        others = [trial.curve for trial in past]
        seen: list[float] = []
        for error in curve:
            seen.append(error)
            spent += 1
            if error <= _best() + near:
                return spent
            if watch.report("error", error):
                break
            if stopper.asks_at({}, len(seen)) and stopper.stops(_OBJECTIVE, {}, seen, others):
                break
        past.append(_ended(proposal, seen, len(past), whole=len(seen) == len(curve)))
    return spent


def with_algorithm(name: str, *, seed: int, near: float) -> int:
    """Return the same of an algorithm that says itself how long trials are; they go on from checkpoints."""
    search = _search(name, seed)
    spent, past = 0, []
    known: dict[str, int] = {}
    for proposal in _proposals(name, search, past):
        before, until = known.get(proposal.resumes, 0), int(proposal.assignments["epochs"])
        seen = _curve(proposal)[:until]
        for error in seen[before:]:
            spent += 1
            if error <= _best() + near:
                return spent
        known[str(len(past))] = until
        past.append(_ended(proposal, seen, len(past), whole=True))
    return spent


def _proposals(name: str, search: Search, past: list[PastTrial]) -> Iterator[Proposal]:
    while len(past) < _MOST_TRIALS:
        answer = algorithms.get(name).propose(Question(search=search, trials=tuple(past)))
        if not answer.proposals:
            return
        yield answer.proposals[0]


def _search(name: str, seed: int) -> Search:
    space = tuple(
        Parameter(
            name=each,
            type="categorical" if each == "activation" else "discrete",
            values=tuple(values),
        )
        for each, values in table()[0].items()
    )
    longest = str(len(next(iter(table()[1].values()))))
    epochs = Parameter(name="epochs", type="int", min="1", max=longest)
    halves = name != "random"
    return Search(
        name="epochs",
        parameters=(*space, epochs) if halves else space,
        objectives=(_OBJECTIVE,),
        settings={"r_l": longest, "resource_name": "epochs"} if halves else {},
        max_trials=_MOST_TRIALS,
        seed=seed,
    )


def _curve(proposal: Proposal) -> list[float]:
    space, curves = table()
    return curves[tuple(proposal.assignments[name] for name in space)]


def _best() -> float:
    return min(curve[-1] for curve in table()[1].values())


def _ended(proposal: Proposal, seen: list[float], index: int, *, whole: bool) -> PastTrial:
    return PastTrial(
        name=str(index),
        assignments=proposal.assignments,
        state="Succeeded" if whole else "EarlyStopped",
        metrics={"error": seen[-1]},
        curve=tuple(seen),
        labels=proposal.labels,
        index=index,
    )

"""Searches a problem with our algorithms, one trial at a time, and tells how long a proposal takes."""

import asyncio
import time
from collections.abc import Callable

from harness import search_peers, search_problems
from harness.search_problems import Curve, Problem
from wherry.tuning import algorithms
from wherry.tuning.algorithm import Objective, PastTrial, Question, Search
from wherry.tuning.asking import Asker

_ROUNDS = 6


def ours(name: str, problem: Problem, *, seed: int, trials: int) -> Curve:
    """Return how one of our algorithms does."""
    search = Search(
        name="bench",
        parameters=problem.parameters,
        objectives=(Objective(metric="loss"),),
        seed=seed,
        max_trials=trials,
    )
    past: list[PastTrial] = []
    for index in range(trials):
        answer = algorithms.get(name).propose(Question(search=search, trials=tuple(past)))
        if not answer.proposals:
            break
        (proposal,) = answer.proposals
        past.append(
            PastTrial(
                name=str(index),
                assignments=proposal.assignments,
                state="Succeeded",
                metrics={"loss": problem.regret(proposal.assignments)},
                labels=proposal.labels,
                index=index,
            )
        )
    return search_problems.least([trial.metrics["loss"] for trial in past], trials)


def seconds_of_ours(name: str, problem: Problem, trials: int) -> dict[str, list[float]]:
    """Return how long an algorithm takes for one proposal that follows so many trials.

    Returns:
        CPU time by itself, and from question to answer asked in its own process as the controllers ask.
    """
    search = Search(
        name="bench", parameters=problem.parameters, objectives=(Objective(metric="loss"),)
    )
    answer = algorithms.get("random").propose(Question(search=search, wanted=trials))
    past = tuple(
        PastTrial(
            name=str(index),
            assignments=proposal.assignments,
            state="Succeeded",
            metrics={"loss": problem.regret(proposal.assignments)},
            index=index,
        )
        for index, proposal in enumerate(answer.proposals)
    )
    question = Question(search=search, trials=past)
    alone = [_seconds(lambda: algorithms.get(name).propose(question)) for _ in range(_ROUNDS)]
    asked = asyncio.run(_asked(name, question))
    return {"cpu-ms": alone[1:], "ms": asked[1:]}


async def _asked(name: str, question: Question) -> list[float]:
    async with Asker() as asker:
        found = []
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            await asker.propose(name, question)
            found.append(time.perf_counter() - started)
        return found


def seconds_of_optuna(problem: Problem, trials: int) -> list[float]:
    """Return how much CPU time Optuna's TPE takes for the same."""
    import optuna  # noqa: PLC0415  (after `peers.one_thread`: it imports NumPy)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(
        lambda trial: problem.regret(search_peers.suggested(problem, trial)), n_trials=trials
    )
    study.sampler = optuna.samplers.TPESampler(seed=0)
    return [_seconds(lambda: search_peers.suggested(problem, study.ask())) for _ in range(_ROUNDS)][
        1:
    ]


def _seconds(what: Callable[[], object]) -> float:
    started = time.process_time()
    what()
    return time.process_time() - started

"""How the network that writes architectures is taught, round by round.

Teaching is a function of the rounds; because it takes long, the networks of the latest questions are
remembered. One that is forgotten is taught again, to the same end.
"""

import copy
import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from wherry.tuning.models.controller import Architectures, Controller, Manner

Round = tuple[tuple[str, float], ...]

_LATEST = 4
"""From how many of the latest rounds is learnt after each."""
_MOST_REMEMBERED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class School(Manner):
    """All that the network's ways depend on, but for the rounds."""

    layers: int
    operations: int
    seed: int
    steps: int


@dataclass(slots=True)
class _Pupil:
    network: Controller
    baseline: float = 0.0
    weight: float = 0.0


_remembered: OrderedDict[tuple[School, tuple[Round, ...]], _Pupil] = OrderedDict()


def taught(school: School, rounds: Sequence[Round]) -> Controller:
    """Return the network that has learnt from rounds.

    Args:
        school: Its ways.
        rounds: Architectures, as `drawn` returns them in JSON with single quotes, with rewards.
    """
    known = len(rounds)
    while known and (school, tuple(rounds[:known])) not in _remembered:
        known -= 1
    found = _remembered.get((school, tuple(rounds[:known])))
    pupil = copy.deepcopy(found) if found else _Pupil(_beginner(school))
    for number in range(known, len(rounds)):
        _teach(pupil, school, rounds[: number + 1])
    _remembered[school, tuple(rounds)] = copy.deepcopy(pupil)
    while len(_remembered) > _MOST_REMEMBERED:
        _remembered.popitem(last=False)
    return pupil.network


def drawn(network: Controller, seed: int) -> Iterator[list[list[int]]]:
    """Yield architectures without end: a list for each layer, its operation and a bit for each earlier layer."""
    rng = np.random.default_rng(seed)
    while True:
        rows = network.sample(rng)[0]
        yield [[int(part) for part in row[: at + 1]] for at, row in enumerate(rows)]


def _beginner(school: School) -> Controller:
    return Controller(school.layers, school.operations, school, school.seed)


def _teach(pupil: _Pupil, school: School, rounds: Sequence[Round]) -> None:
    """Let it learn from the last round, and from some before it again."""
    rewards = [reward for _, reward in rounds[-1]]
    if rewards:
        # With its weight corrected for where it began: what is not known yet does not count as 0.
        pupil.baseline = school.decay * pupil.baseline + (1 - school.decay) * float(
            np.mean(rewards)
        )
        pupil.weight = school.decay * pupil.weight + (1 - school.decay)
    read = [
        (_read(school, text), reward) for round_ in rounds[-_LATEST:] for text, reward in round_
    ]
    latest = [(tried, reward) for tried, reward in read if tried is not None]
    values = np.asarray([reward for _, reward in latest])
    if len(latest) > 1 and np.ptp(values) > 0:
        advantages = (values - pupil.baseline / pupil.weight) / values.std()
        tried = np.concatenate([one for one, _ in latest])
        pupil.network.learn(tried, np.clip(advantages, -3.0, 3.0), school.steps)


def _read(school: School, text: str) -> Architectures | None:
    """An architecture from a trial's assignment; None: it is none of this search's."""
    found = np.zeros((1, school.layers, school.layers), int)
    try:
        layers = json.loads(text.replace("'", '"'))
        for at in range(school.layers):
            found[0, at, : at + 1] = layers[at]
    except (ValueError, TypeError, LookupError):
        return None
    operations, skips = found[0, :, 0], found[0, :, 1:]
    inside = operations.min() >= 0 and operations.max() < school.operations
    return found if inside and skips.size == ((skips == 0) | (skips == 1)).sum() else None

"""The process in which search algorithms run.

A question is a line on standard input, its answer one on standard output; it ends with its input.

Algorithms import what they calculate with when they are first asked; a random search costs no more
than a bare interpreter.
"""

import contextlib
import os
import sys
from typing import BinaryIO

from wherry.tuning import algorithms, wire
from wherry.tuning.algorithm import Answer
from wherry.tuning.retelling import ForgottenError, Listener

_LONGEST_MESSAGE = 500


def main() -> None:
    """Answer until nobody asks any more."""
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    # Who asked may have gone before the answer came.
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, answers)


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer questions line by line.

    Args:
        questions: Lines of `wire`.
        answers: Written to as soon as an answer is known.
    """
    listener = Listener()
    for line in questions:
        answers.write(_answered(line, listener))
        answers.flush()


def _answered(line: bytes, listener: Listener) -> bytes:
    try:
        asked = wire.asked(line, listener)
        algorithm = algorithms.get(asked.algorithm)
        if asked.proposes:
            return wire.said(_bounded(algorithm.propose(asked.question), asked.question.wanted))
        return wire.said(algorithm.validate(asked.question.search))
    except ForgottenError:
        return wire.forgotten()
    # Whatever goes wrong in an algorithm is told to who asked; the next question is another.
    except Exception as error:  # noqa: BLE001 - as said
        return wire.failed(f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE])


def _bounded(answer: Answer, wanted: int) -> Answer:
    if len(answer.proposals) > wanted:
        raise ValueError(f"{len(answer.proposals)} proposals where {wanted} were wanted")
    return answer


if __name__ == "__main__":
    main()

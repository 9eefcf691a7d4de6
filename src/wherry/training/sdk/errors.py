"""What can go wrong with a training, by what its user can do."""


class TrainingError(Exception):
    """A training could not be started, or there is no more to be learnt of it."""


class FailedError(TrainingError):
    """A training has failed.

    Attributes:
        reason: What the job says of it.
        tracebacks: Of each rank that raised, by the pod's short name, the first to raise first.
    """

    def __init__(self, name: str, reason: str, tracebacks: dict[str, str]) -> None:
        """Take what is known."""
        self.reason = reason
        self.tracebacks = tracebacks
        super().__init__(_text(name, reason, tracebacks))


def _text(name: str, reason: str, tracebacks: dict[str, str]) -> str:
    if not tracebacks:
        return f"training {name} failed: {reason}"
    rank, first = next(iter(tracebacks.items()))
    others = [each for each in tracebacks if each != rank]
    also = f"\n(also raised in {', '.join(others)})" if others else ""
    return f"training {name} failed in {rank}:\n\n{first.rstrip()}{also}"

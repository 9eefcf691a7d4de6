"""MPI, which is refused: the launcher of an `MPIJob` reaches its workers through the API by pod name.

Pods of a JobSet have names that end at random. Until the remote shell finds them by their host names,
a TrainJob says at once that it cannot run, and what can.
"""

from collections.abc import Iterator

from wherry.objects.errors import Cause
from wherry.training.trainer.draft import Draft
from wherry.training.trainer.policy import Policy


class MPI(Policy):
    """MPI."""

    field = "mpi"

    def validate(self, draft: Draft) -> Iterator[Cause]:
        """Say that it is not supported, and what is."""
        name = draft.job.spec.runtime_ref.name
        message = f'"{name}": has the policy mpi, which is not supported; write an MPIJob'
        yield Cause("spec.runtimeRef.name", message, "FieldValueNotSupported")

"""Flux, which is refused: its nodes are put together from images that bring a machine of their own."""

from collections.abc import Iterator

from wherry.objects.errors import Cause
from wherry.training.trainer.draft import Draft
from wherry.training.trainer.policy import Policy


class Flux(Policy):
    """Flux."""

    field = "flux"

    def validate(self, draft: Draft) -> Iterator[Cause]:
        """Say that it is not supported."""
        name = draft.job.spec.runtime_ref.name
        message = (
            f'"{name}": has the policy flux, which is not supported; want a runtime with torch, mpi, '
            "jax, xgboost or none"
        )
        yield Cause("spec.runtimeRef.name", message, "FieldValueNotSupported")

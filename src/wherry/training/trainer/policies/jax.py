"""JAX: what ``jax.distributed.initialize`` is told.

Source: kubeflow/trainer 2.3 ``pkg/runtime/framework/plugins/jax``.
"""

from wherry.training.trainer import draft as drafts
from wherry.training.trainer import kinds
from wherry.training.trainer.draft import Draft
from wherry.training.trainer.policy import Policy


class JAX(Policy):
    """JAX."""

    field = "jax"

    def enforce(self, draft: Draft) -> None:
        """Tell each process how many there are, which it is, and where the first is."""
        trainer = draft.trainer()
        if trainer is None:
            return
        variables = {
            "JAX_NUM_PROCESSES": str(draft.nodes),
            "JAX_COORDINATOR_ADDRESS": f"{draft.first_host()}:{kinds.PORT}",
        }
        drafts.give(trainer, variables)
        drafts.give_index(trainer, "JAX_PROCESS_ID")
        drafts.open_port(trainer)

"""XGBoost: where the tracker is, and which worker of how many a node is.

Source: kubeflow/trainer 2.3 ``pkg/runtime/framework/plugins/xgboost``: one worker a device, else one a
node.
"""

from wherry.training.trainer import draft as drafts
from wherry.training.trainer import kinds
from wherry.training.trainer.draft import Draft
from wherry.training.trainer.policy import Policy

_URI, _PORT = "DMLC_TRACKER_URI", "DMLC_TRACKER_PORT"
_TASK, _WORKERS = "DMLC_TASK_ID", "DMLC_NUM_WORKER"


class XGBoost(Policy):
    """XGBoost."""

    field = "xgboost"
    reserved = frozenset({_URI, _PORT, _TASK, _WORKERS})

    def enforce(self, draft: Draft) -> None:
        """Tell each node of the tracker, which the first of them runs."""
        trainer = draft.trainer()
        if trainer is None:
            return
        variables = {
            _URI: draft.first_host(),
            _PORT: str(kinds.PORT),
            _WORKERS: str(draft.nodes * max(1, draft.gpus())),
        }
        drafts.give(trainer, variables)
        drafts.give_index(trainer, _TASK)
        drafts.open_port(trainer)

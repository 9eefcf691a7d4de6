"""The policies, a line each."""

from wherry.training.trainer.policies.flux import Flux
from wherry.training.trainer.policies.jax import JAX
from wherry.training.trainer.policies.mpi import MPI
from wherry.training.trainer.policies.plain import Plain
from wherry.training.trainer.policies.torch import Torch
from wherry.training.trainer.policies.xgboost import XGBoost
from wherry.training.trainer.policy import Policy
from wherry.training.trainer.runtime import MLPolicy

ALL: tuple[Policy, ...] = (Torch(), JAX(), XGBoost(), MPI(), Flux())
_PLAIN = Plain()


def of(policy: MLPolicy) -> Policy:
    """Return the policy that a runtime asks for."""
    return next((each for each in ALL if getattr(policy, each.field) is not None), _PLAIN)

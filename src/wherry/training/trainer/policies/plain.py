"""A runtime that names no framework: its nodes are told nothing but their index by Kubernetes."""

from wherry.training.trainer.policy import Policy


class Plain(Policy):
    """No framework."""

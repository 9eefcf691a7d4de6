"""How a step's code reaches its artifacts: the interface of direct and staged places."""

from typing import Protocol

from wherry.objects.requests import Object
from wherry.pipelines.steps.draft import Draft
from wherry.pipelines.steps.order import Order


class Places(Protocol):
    """One way for artifacts to get to a step and from it."""

    def prepare(self, draft: Draft, order: Order, told: Object) -> None:
        """Have the pod find its inputs, and its outputs be kept.

        Args:
            draft: The pod; changed in place.
            order: What is to run.
            told: The executor input.

        Raises:
            StepError: it cannot be.
        """
        ...

"""Where everything of one node's pod is: its files, and where its artifacts go. Pure."""

from dataclasses import dataclass

from wherry.pipelines.workflows.artifacts import plan, targets
from wherry.pipelines.workflows.artifacts.order import Order
from wherry.pipelines.workflows.artifacts.plan import Plan
from wherry.pipelines.workflows.artifacts.targets import Target


@dataclass(frozen=True, slots=True)
class Layout:
    """What is where.

    Attributes:
        order: What is to run.
        plan: The files of its main container.
        targets: Where its artifacts go.
    """

    order: Order
    plan: Plan
    targets: tuple[Target, ...]

    @property
    def direct(self) -> bool:
        """Whether its volumes are folders of the node."""
        return self.order.repository.root.direct

    @property
    def away(self) -> tuple[Target, ...]:
        """The artifacts that go to where the control plane cannot reach."""
        return tuple(each for each in self.targets if not each.on_node)

    @property
    def carries_away(self) -> bool:
        """Whether a container in the pod brings outputs away."""
        return bool(self.away) or (bool(self.plan.parameters) and not self.direct)


def make(order: Order) -> Layout:
    """Return where everything of a node is.

    Raises:
        StepError: something has no place.
    """
    made = plan.make(order)
    return Layout(order, made, targets.make(order, made))

"""`metrics.k8s.io` before there is a node: the API server is made first."""

from collections.abc import Mapping, Sequence
from typing import Any

from wherry.kubelet.usage.metrics import NodeUsage, PodUsage
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


class LateUsage:
    """Passes questions on to the node, once there is one.

    Attributes:
        source: Who answers.
    """

    def __init__(self, kind: type[NodeUsage | PodUsage]) -> None:
        self.resource: Resource = kind.resource
        self.definition: Mapping[str, Any] = kind.definition
        self.source: NodeUsage | PodUsage | None = None

    async def objects(self, namespace: str | None, name: str | None) -> Sequence[Object]:
        """Return the objects there are now.

        Raises:
            ServiceUnavailableError: There is no node yet, or it cannot tell.
        """
        if self.source is None:
            raise errors.ServiceUnavailableError("the node is starting; try again in a moment")
        return await self.source.objects(namespace, name)

"""ClusterRoles made of others: `rules` is what the roles that `aggregationRule` selects allow.

Source: `pkg/controller/clusterroleaggregation` of Kubernetes.
"""

from collections.abc import Iterable, Sequence

from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.objects import kinds, metadata, selectors
from wherry.objects.requests import Object


def rules_of(role: Object, roles: Sequence[Object]) -> list[Object]:
    """Return the rules that a role with an `aggregationRule` should have.

    Args:
        role: That role.
        roles: All cluster roles.
    """
    found: list[Object] = []
    others = sorted((one for one in roles if one is not role), key=metadata.name)
    for selector in role["aggregationRule"].get("clusterRoleSelectors") or ():
        matching = selectors.from_object(selector)
        for other in others:
            if matching.matches(metadata.labels(other)):
                found += [rule for rule in other.get("rules") or () if rule not in found]
    return found


class AggregationReconciler:
    """Writes the rules of aggregated roles."""

    def __init__(self, manager: Manager) -> None:
        self._client = manager.client
        self._roles = manager.cache(kinds.CLUSTER_ROLES)

    async def reconcile(self, request: Request) -> Result | None:
        """Make a role's rules the sum of those it is made of."""
        role = self._roles.get("", request.name)
        if role is None or metadata.is_deleting(role) or not role.get("aggregationRule"):
            return None
        wanted = rules_of(role, self._roles.list())
        if (role.get("rules") or []) != wanted:
            await self._client.update(kinds.CLUSTER_ROLES, {**role, "rules": wanted})
        return None


def controller(manager: Manager) -> Controller:
    """Return the controller of aggregated roles."""
    roles = manager.cache(kinds.CLUSTER_ROLES)

    def aggregated(changed: Object) -> Iterable[Request]:
        if not metadata.labels(changed):
            return ()
        return [
            Request("", metadata.name(one)) for one in roles.list() if one.get("aggregationRule")
        ]

    reconciler = AggregationReconciler(manager)
    watches = (Watch(kinds.CLUSTER_ROLES, aggregated),)
    return Controller(
        "clusterrole-aggregation", kinds.CLUSTER_ROLES, reconciler, watches=watches, workers=1
    )

"""The products in the embedded platform: their functions instead of webhooks, their controllers."""

from collections.abc import Iterable, Mapping, Sequence

from wherry.apiserver.crds.hooks import Hooks
from wherry.controller import installing, people
from wherry.controller.component import Component
from wherry.controller.manager import Manager
from wherry.objects import kinds
from wherry.objects.declared.pods import PodHook


def hooks(components: Iterable[Component]) -> Mapping[str, Hooks]:
    """Return what the API server is to know of every declared kind, by resource key."""
    return {
        kind.resource.key: Hooks(
            default=kind.default,
            validate=kind.validate,
            related=kind.related,
            rights=kind.rights,
            maker=kind.maker,
            warnings=kind.warnings,
            convert=kind.convert,
        )
        for component in components
        for kind in component.kinds
    }


def pod_hooks(components: Iterable[Component]) -> Sequence[PodHook]:
    """Return what the products change in new pods."""
    return [component.pods for component in components if component.pods is not None]


async def add(components: Iterable[Component], manager: Manager) -> None:
    """Install every product's kinds, the roles of people and first objects, and add its controllers.

    Raises:
        ApiError: the API refused something.
        TimeoutError: a kind is not served in time.
    """
    components = [*components]
    for role in people.roles(components):
        await installing.ensure(manager.client, kinds.CLUSTER_ROLES, role)
    for component in components:
        definitions = [kind.definition() for kind in component.kinds]
        await installing.define(manager.client, definitions)
        await installing.make_objects(manager.client, component, roles=True)
        for controller in component.controllers(manager):
            manager.add(controller)

"""Runs and ends the services of others that a Suggestion needs, and says how they are asked."""

from collections.abc import Iterable
from dataclasses import dataclass

from wherry.controller import apply
from wherry.controller.controller import Watch
from wherry.controller.manager import Manager
from wherry.controller.owners import is_controlled_by
from wherry.controller.requests import Request
from wherry.objects import conditions, errors, metadata
from wherry.objects import kinds as core
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.tuning import checkpoints, kinds, search, service_objects, services, settings
from wherry.tuning.algorithm import Question
from wherry.tuning.api.foreign import ForeignAsker, ForeignStopper
from wherry.tuning.services import ConfigError, Service, Services
from wherry.tuning.stopping import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """What others answer for a Suggestion.

    Attributes:
        algorithm: Whom to ask for proposals; None: it is one of ours.
        stopper: Whom to ask for rules; None: it is one of ours, or there is none.
        waiting: Why they cannot be asked yet; empty: they can.
    """

    algorithm: ForeignAsker | None = None
    stopper: ForeignStopper | None = None
    waiting: str = ""

    async def check(self, experiment: Object) -> None:
        """Have others look at what is asked of them.

        Raises:
            ConfigError: they will not take it.
            AskError: nobody answers.
        """
        spec = experiment["spec"]
        causes: list[Cause] = []
        if self.algorithm is not None:
            name = str(spec["algorithm"]["algorithmName"])
            causes += await self.algorithm.validate(name, search.of(experiment))
        if self.stopper is not None:
            causes += await self.stopper.validate(search.settings(spec["earlyStopping"]))
        if causes:
            raise ConfigError("; ".join(f"{each.field}: {each.message}" for each in causes))

    async def rules(self, experiment: Object, question: Question) -> tuple[Rule, ...]:
        """Return the rules that others have for trials that are made now.

        Raises:
            AskError: nobody answers.
        """
        if self.stopper is None:
            return ()
        spec = experiment["spec"]
        name = str(spec["algorithm"]["algorithmName"])
        return await self.stopper.rules(name, question, search.settings(spec["earlyStopping"]))


class Runner:
    """Sees to the services of a manager's Suggestions."""

    def __init__(self, manager: Manager, controller: str) -> None:
        """Take what it works with.

        Args:
            manager: Gives the client.
            controller: Hears of changes of what is run here.
        """
        self._manager = manager
        self._controller = controller
        self._client = manager.client

    async def begin(self, suggestion: Object) -> Others:
        """Have the services of a Suggestion run; return how they are asked.

        Raises:
            ConfigError: nobody has an algorithm of that name, or what the ConfigMap says of it cannot be
                run.
            ForeignOwnerError: something else has the name of what would run it.
            ApiError: the API could not be asked, or a quota is used up.
        """
        found = await self._find(suggestion)
        try:
            waiting = await self._made(suggestion, found)
        except (errors.BadRequestError, errors.InvalidError) as error:
            raise ConfigError(f"ConfigMap {settings.NAME}: {error.message}") from None
        if waiting:
            return Others(waiting=waiting)
        place = await self._address(suggestion) if found.run else ""
        return Others(
            algorithm=_asker(found.algorithm, place), stopper=_stopper(found.stopper, place)
        )

    async def _made(self, suggestion: Object, found: Services) -> str:
        """Make what is not there; return why services cannot be asked yet."""
        if checkpoints.directory(suggestion["spec"]):
            await self._share(suggestion)
        return await self._run(suggestion, found) if found.run else ""

    async def end(self, suggestion: Object) -> None:
        """End what runs for a Suggestion; what it keeps stays."""
        if not any(services.wanted(suggestion["spec"])):
            return
        name, namespace = service_objects.name(suggestion), metadata.namespace(suggestion)
        for resource in (core.DEPLOYMENTS, core.SERVICES):
            found = await self._read(resource, name, namespace)
            if found is not None and is_controlled_by(found, suggestion):
                await apply.delete_if_present(self._client, resource, found)

    async def _find(self, suggestion: Object) -> Services:
        if not any(services.wanted(suggestion["spec"])):
            return Services()
        config = await self._read(core.CONFIG_MAPS, settings.NAME, kinds.NAMESPACE)
        return services.find(suggestion["spec"], config)

    async def _run(self, suggestion: Object, found: Services) -> str:
        """Make what runs services; return why they cannot be asked yet."""
        self._manager.also_watch(self._controller, Watch(core.DEPLOYMENTS, _suggestion_of))
        if service_objects.is_kept(suggestion) and found.algorithm in found.run:
            await self._keep(suggestion, found.run[0])
        service = service_objects.service(suggestion)
        await apply.create_if_absent(self._client, None, core.SERVICES, service)
        deployment = service_objects.deployment(suggestion, found)
        made = await apply.create_if_absent(self._client, None, core.DEPLOYMENTS, deployment)
        if conditions.is_true(made.object, "Available"):
            return ""
        told = conditions.get(made.object, "Progressing") or {}
        return (
            f"Deployment {metadata.name(made.object)} is not available: {told.get('message', '')}"
        )

    async def _keep(self, suggestion: Object, one: Service) -> None:
        wanted = service_objects.claim(suggestion, one.claim)
        await apply.create_if_absent(self._client, None, core.PERSISTENT_VOLUME_CLAIMS, wanted)
        if one.volume:
            volume = service_objects.volume(suggestion, one)
            if await self._read(core.PERSISTENT_VOLUMES, metadata.name(volume), "") is None:
                await self._client.create(core.PERSISTENT_VOLUMES, volume)

    async def _share(self, suggestion: Object) -> None:
        """Make the claim of the volume on which trials keep their state."""
        config = await self._read(core.CONFIG_MAPS, settings.NAME, kinds.NAMESPACE)
        name = str(suggestion["spec"]["algorithm"]["algorithmName"])
        wanted = service_objects.claim(suggestion, services.claim(name, config))
        await apply.create_if_absent(self._client, None, core.PERSISTENT_VOLUME_CLAIMS, wanted)

    async def _address(self, suggestion: Object) -> str:
        # By its address: whoever runs this need not be where its name resolves.
        found = await self._client.get(
            core.SERVICES, service_objects.name(suggestion), metadata.namespace(suggestion)
        )
        address = str(found["spec"].get("clusterIP", ""))
        return f"[{address}]" if ":" in address else address

    async def _read(self, resource: Resource, name: str, namespace: str) -> Object | None:
        try:
            return await self._client.get(resource, name, namespace or None)
        except errors.NotFoundError:
            return None


def _asker(one: Service | None, place: str) -> ForeignAsker | None:
    if one is None:
        return None
    return ForeignAsker(one.endpoint or f"{place}:{service_objects.PORT}")


def _stopper(one: Service | None, place: str) -> ForeignStopper | None:
    if one is None:
        return None
    address = one.endpoint or f"{place}:{service_objects.STOPPER_PORT}"
    return ForeignStopper(address, one.name)


def _suggestion_of(obj: Object) -> Iterable[Request]:
    reference = metadata.controller_of(obj)
    if reference is None or reference.get("kind") != kinds.SUGGESTIONS.kind:
        return ()
    return (Request(metadata.namespace(obj), reference["name"]),)

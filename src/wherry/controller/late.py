"""Controllers whose modules are imported with the first object that concerns one of them.

A product that nobody uses yet costs an import otherwise, at each start, and the memory of it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.objects.resources import Resource


class LateControllers:
    """Controllers that are made together, late."""

    def __init__(self, manager: Manager, make: Callable[[], Sequence[Controller]]) -> None:
        """Take how they are made.

        Args:
            manager: Runs them.
            make: Makes them; called until it succeeds.
        """
        self._manager = manager
        self._make = make
        self._making: asyncio.Task[Mapping[str, Controller]] | None = None

    def shape(
        self, name: str, resource: Resource, *, owns: tuple[Resource, ...] = (), workers: int = 4
    ) -> Controller:
        """Return what the manager needs to know of a controller before it is made.

        Args:
            name: Of it.
            resource: What it works on.
            owns: What its objects control.
            workers: How many work at once.
        """
        return Controller(name, resource, _Late(self, name), owns=owns, workers=workers)

    async def made(self, name: str) -> Controller:
        """Return a controller; with the first call all are made.

        Raises:
            KeyError: there is none of that name.
        """
        if self._making is None:
            self._making = asyncio.ensure_future(self._make_all())
        making = self._making
        try:
            return (await asyncio.shield(making))[name]
        except Exception:
            if making is self._making and making.done() and making.exception() is not None:
                self._making = None  # tried again
            raise

    async def _make_all(self) -> Mapping[str, Controller]:
        made = {controller.name: controller for controller in self._make()}
        # They may read what nobody has read before.
        await self._manager.synced()
        return made


class _Late:
    """Reconciles as a controller does that is made with the first request."""

    def __init__(self, controllers: LateControllers, name: str) -> None:
        self._controllers = controllers
        self._name = name

    async def reconcile(self, request: Request) -> Result | None:
        """Reconcile."""
        made = await self._controllers.made(self._name)
        return await made.reconciler.reconcile(request)

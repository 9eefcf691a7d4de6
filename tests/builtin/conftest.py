"""The world of `wherry.testing.played` without products, not yet started, with what these tests ask it for."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from wherry.apiserver.server import ApiServer, Extensions
from wherry.builtin import component
from wherry.builtin.gangs import component as gangs
from wherry.builtin.service_proxy import ServiceProxy
from wherry.builtin.settings import BuiltinSettings
from wherry.controller import installing
from wherry.controller.clock import Clock
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.embedded import in_memory
from wherry.objects.requests import Object
from wherry.testing import played
from wherry.testing.played import PLAY


class World(played.World):
    """A world of Kubernetes' own controllers.

    Attributes:
        server: The API; kubectl can call it.
        proxy: Where services listen.
        volumes: The folder of the default class.
        settings: Of the controllers.
    """

    def __init__(self, server: ApiServer, volumes: Path) -> None:
        super().__init__(server.transport(in_memory.ADMIN), self._made)
        self.server = server
        self.proxy = ServiceProxy()
        self.volumes = volumes
        self.settings = BuiltinSettings(
            volumes_directory=volumes,
            certificate_authority="-----AUTHORITY-----",
            cpu_overcommit=1.0,
            job_backoff_seconds=0.01,
        )

    def _made(self, manager: Manager) -> Iterable[Controller]:
        yield from component.controllers(manager, self.settings, self.proxy)
        yield from gangs.COMPONENT.controllers(manager)

    async def start(
        self, clock: Clock | None = None, *, settings: BuiltinSettings | None = None
    ) -> None:
        """Start the controllers; the kubelet's clock stays the machine's."""
        self.clock, self.settings = clock or self.clock, settings or self.settings
        await super().start()


@pytest.fixture
def extensions() -> Extensions:
    """What is added to the server; a test module may have its own."""
    return Extensions()


@pytest.fixture
async def bare(tmp_path: Path, extensions: Extensions) -> AsyncIterator[World]:
    """A world whose controllers are not started."""
    volumes = tmp_path / "volumes"
    volumes.mkdir()
    async with in_memory.api(extensions=extensions) as server:
        made = World(server, volumes)
        async with played.played(made):
            definitions = [kind.definition() for kind in gangs.COMPONENT.kinds]
            await installing.define(made.client, definitions)
            yield made
        await made.proxy.close()


@pytest.fixture
async def world(bare: World) -> World:
    """A world whose controllers run."""
    await bare.start()
    return bare


def template(play: str = "run", labels: Object | None = None, **spec: Any) -> Object:
    """Return a pod template."""
    return {
        "metadata": {"labels": labels or {"app": "web"}, "annotations": {PLAY: play}},
        "spec": {"containers": [{"name": "main", "image": "python:3.11"}], **spec},
    }


def workload(name: str, replicas: int = 3, play: str = "run", **spec: Any) -> Object:
    """Return a Deployment, ReplicaSet or StatefulSet."""
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(play, {"app": name}),
            **spec,
        },
    }


def job(name: str, play: str = "succeed", **spec: Any) -> Object:
    """Return a Job."""
    return {
        "metadata": {"name": name},
        "spec": {"template": template(play, restartPolicy="Never"), **spec},
    }


@pytest.fixture
def make() -> Any:
    """The builders, as attributes: fixtures are how files of a folder without package share."""

    class Make:
        template = staticmethod(template)
        workload = staticmethod(workload)
        job = staticmethod(job)

    return Make

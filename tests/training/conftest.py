"""A world in which training jobs run, with pods that are played and a clock; and one where they really do."""

import contextlib
import datetime
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from wherry.builtin.settings import BuiltinSettings
from wherry.objects import conditions, errors, kinds
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.testing import beside, builders, played
from wherry.testing.clock import FakeClock
from wherry.testing.fixtures import platform, running, shared_platform
from wherry.testing.played import PLAY, World
from wherry.testing.waiting import eventually
from wherry.training import component
from wherry.training.framework import Framework

__all__ = ["platform", "running", "shared_platform"]

PROGRAMS = Path(__file__).with_name("programs")
ENVIRONMENTS = Resource("wherry.dev", "v1", "environments", "Environment", namespaced=False)


@pytest.fixture(
    params=["here", pytest.param("beside", marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The controllers of training, and Kubernetes' own, on a clock of the test's.

    They run here; or training's as processes of their own, over HTTPS, of which one is killed.
    """
    settings = BuiltinSettings(
        volumes_directory=tmp_path, certificate_authority="", cpu_overcommit=1.0
    )
    run, now = (component.COMPONENT,), datetime.datetime.now(datetime.UTC)
    if request.param == "beside":
        async with beside.world(run, directory=tmp_path, start=now, settings=settings) as made:
            # What a process has to tell and has not written yet is gone with it.
            made.spares = "events" in request.fixturenames
            yield made
        return
    async with played.world(run, clock=FakeClock(now), settings=settings) as made:
        yield made


@pytest.fixture
def events(world: World) -> Any:
    """What the controllers tell of an object, by reason; whoever asks has them live."""

    async def told(name: str) -> dict[str, str]:
        await world.flush_events()
        return await world.events(name)

    return told


def job(
    framework: Framework,
    replicas: dict[str, Any],
    *,
    name: str = "j",
    play: str = "run",
    **spec: Any,
) -> Object:
    """Return a job; a replica type is given as its number, or as fields of its replica spec."""
    template = {
        "metadata": {"annotations": {PLAY: play}},
        "spec": {
            "containers": [{"name": framework.container, "image": "python:3.11"}],
            "terminationGracePeriodSeconds": 1,
        },
    }
    given = {
        type_: {"template": template, **(one if isinstance(one, dict) else {"replicas": one})}
        for type_, one in replicas.items()
    }
    return {"metadata": {"name": name}, "spec": {framework.replicas_field: given, **spec}}


@pytest.fixture
def make() -> Any:
    """The builder; fixtures are how files of a folder without package share."""
    return job


class Runs:
    """Starts jobs in a namespace of their own."""

    def __init__(self, platform, namespace):
        self.platform, self.namespace = platform, namespace
        self.create(kinds.NAMESPACES, builders.namespace(namespace))

    def create(self, resource, obj):
        return self.platform.call(self.platform.client.create(resource, obj))

    def environment(self, name, *requirements, **fields):
        """Return an image that holds these packages; a name means the same ones every time."""
        spec = {"images": [f"{name}:*"], "requirements": list(requirements), **fields}
        obj = {
            "apiVersion": "wherry.dev/v1",
            "kind": "Environment",
            "metadata": {"name": name},
            "spec": spec,
        }
        with contextlib.suppress(errors.AlreadyExistsError):
            self.create(ENVIRONMENTS, obj)

        def ready():
            found = self.platform.call(self.platform.client.get(ENVIRONMENTS, name))
            failed = conditions.get(found, "Ready")
            assert conditions.is_true(found, "Ready"), failed
            return True

        eventually(ready, 500)
        return f"{name}:1"

    def pod(self, framework, image, program, *command, **container):
        """Return the template of a pod that runs a program of ours."""
        data = {f"{program}.py": (PROGRAMS / f"{program}.py").read_text()}
        held = program.replace("_", "-")
        config = builders.config_map(held, namespace=self.namespace)
        if not self.exists(kinds.CONFIG_MAPS, held):
            self.create(kinds.CONFIG_MAPS, {**config, "data": data})
        mounted = {"name": "program", "mountPath": "/program"}
        main = {
            "name": framework.container or "main",
            "image": image,
            "command": [*(command or ("python",)), f"/program/{program}.py"],
            **container,
        }
        main["volumeMounts"] = [mounted, *container.get("volumeMounts", ())]
        volume = {"name": "program", "configMap": {"name": held}}
        return {"spec": {"containers": [main], "volumes": [volume]}}

    def exists(self, resource, name):
        listed = self.platform.call(self.platform.client.list(resource, self.namespace)).items
        return name in {obj["metadata"]["name"] for obj in listed}

    def start(self, framework, replicas, resource=None, **spec):
        resource = resource or framework.resource
        self.create(
            resource,
            {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "metadata": {"name": "j", "namespace": self.namespace},
                "spec": {framework.replicas_field: replicas, **spec},
            },
        )

    def succeed(self, framework, seconds=240):
        """Wait until the job has succeeded."""
        return self.end(framework.resource, "Succeeded", seconds)

    def end(self, resource, well, seconds=240):
        """Wait until the job has ended, by the condition that says it has ended well."""

        def ended():
            found = self.platform.call(self.platform.client.get(resource, "j", self.namespace))
            over = any(conditions.is_true(found, each) for each in (well, "Failed"))
            return found if over else None

        obj = eventually(ended, seconds)
        failed = conditions.get(obj, "Failed")
        assert conditions.is_true(obj, well), failed and failed["message"]
        return obj

    def restarts(self, pod):
        """Return how often a pod's container was started again."""
        found = self.platform.call(self.platform.client.get(kinds.PODS, pod, self.namespace))
        return found["status"]["containerStatuses"][0]["restartCount"]

    def told(self, pod):
        """Return the JSON lines that a pod has written."""
        kubectl = ["kubectl", "--kubeconfig", str(self.platform.kubeconfig), "-n", self.namespace]
        done = subprocess.run(
            [*kubectl, "logs", pod], capture_output=True, text=True, timeout=60, check=True
        )
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.fixture
def runs(shared_platform, request):
    """Return what starts jobs; the namespace is called after the test."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)
    return Runs(shared_platform, name.removeprefix("test-").strip("-"))

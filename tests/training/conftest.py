"""A world in which training jobs run, with pods that are played and a clock that tests move."""

import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from wherry.builtin.settings import BuiltinSettings
from wherry.objects.requests import Object
from wherry.testing import played
from wherry.testing.clock import FakeClock
from wherry.testing.fixtures import platform, running, shared_platform
from wherry.testing.played import PLAY, World
from wherry.training import component
from wherry.training.framework import Framework

__all__ = ["platform", "running", "shared_platform"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The controllers of training, and Kubernetes' own, on a clock of the test's."""
    settings = BuiltinSettings(
        volumes_directory=tmp_path, certificate_authority="", cpu_overcommit=1.0
    )
    async with played.world(
        (component.COMPONENT,),
        clock=FakeClock(datetime.datetime.now(datetime.UTC)),
        settings=settings,
    ) as made:
        yield made


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

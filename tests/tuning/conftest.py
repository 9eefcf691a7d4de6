"""A world in which searches run, with pods that are played and a clock that tests move."""

import contextlib
import datetime
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from wherry.builtin.settings import BuiltinSettings
from wherry.controller.component import Component
from wherry.testing import played
from wherry.testing.clock import FakeClock
from wherry.testing.fixtures import platform, running, shared_platform
from wherry.testing.played import World
from wherry.training import component as training
from wherry.tuning import component as tuning

# As in the worker: algorithms have small matrices, and threads that spin take the cores from the tests.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__all__ = ["platform", "running", "shared_platform"]


@contextlib.asynccontextmanager
async def _world(components: Sequence[Component], folder: Path) -> AsyncIterator[World]:
    settings = BuiltinSettings(
        volumes_directory=folder, certificate_authority="", cpu_overcommit=1.0
    )
    clock = FakeClock(datetime.datetime.now(datetime.UTC))
    async with played.world(components, clock=clock, settings=settings) as made:
        yield made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The controllers of tuning, and Kubernetes' own, on a clock of the test's."""
    async with _world((tuning.COMPONENT,), tmp_path) as made:
        yield made


@pytest.fixture
async def training_world(tmp_path: Path) -> AsyncIterator[World]:
    """The same with the controllers of training."""
    async with _world((training.COMPONENT, tuning.COMPONENT), tmp_path) as made:
        yield made

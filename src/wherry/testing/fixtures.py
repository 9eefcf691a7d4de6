"""Running platforms as pytest fixtures; import those you use into a ``conftest.py``.

None needs a plug-in: they work from plain and from asynchronous tests alike, since no platform runs
on the test's event loop. Everything is below pytest's temporary folders, on a free port, and what a
test leaves running is ended.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.embedded.settings import Settings
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.running import RunningPlatform


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[InProcessPlatform]:
    """Give a platform of the test's own, in a thread of this process."""
    with _platform(tmp_path / "platform") as started:
        yield started


@pytest.fixture(scope="session")
def shared_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessPlatform]:
    """Give a platform that all tests of the session share, in a thread of this process.

    Have each test make a namespace of its own.
    """
    with _platform(tmp_path_factory.mktemp("shared") / "platform") as started:
        yield started


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningPlatform]:
    """Give a platform of the test's own as a process, started, that it may kill and restart."""
    platform = RunningPlatform(tmp_path / "platform")
    try:
        platform.start()
        yield platform
    finally:
        platform.end()


@contextlib.contextmanager
def _platform(directory: Path) -> Iterator[InProcessPlatform]:
    platform = InProcessPlatform(Settings(directory=directory, port=0))
    platform.start()
    try:
        yield platform
    finally:
        platform.stop()

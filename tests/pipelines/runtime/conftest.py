"""The Pythons that images bring."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def python() -> Path:
    """Give a Python that has nothing of Wherry's installed on its path but the runtime."""
    return Path(sys.executable).resolve()

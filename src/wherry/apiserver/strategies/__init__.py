"""What is peculiar to each built-in kind when it is written; kinds not listed have nothing."""

from collections.abc import Mapping
from typing import Final

from wherry.apiserver.strategies import (
    accounts,
    apps,
    batch,
    configuration,
    core,
    endpoints,
    extensions,
    networking,
    pods,
    scaling,
    services,
    volumes,
)
from wherry.apiserver.strategy import Strategy

_ROOMS = (
    accounts,
    apps,
    batch,
    configuration,
    core,
    endpoints,
    extensions,
    networking,
    pods,
    scaling,
    services,
    volumes,
)

BUILTIN: Final[Mapping[str, Strategy]] = {
    key: strategy for room in _ROOMS for key, strategy in room.STRATEGIES.items()
}
"""Strategies by resource key, e.g. ``deployments.apps``."""

"""The products, a line each."""

from collections.abc import Sequence

from wherry.controller.component import Component
from wherry.pipelines import product as pipelines
from wherry.training import component as training
from wherry.tuning import component as tuning

ALL: tuple[Component, ...] = (training.COMPONENT, tuning.COMPONENT, pipelines.COMPONENT)


def named(names: Sequence[str]) -> tuple[Component, ...]:
    """Return the products of these names, in the order of the list; all where none is named.

    Raises:
        ValueError: there is no such product; the message names those there are.
    """
    known = {component.name: component for component in ALL}
    for name in names:
        if name not in known:
            raise ValueError(f"component {name!r}: there are {', '.join(known) or 'none'}")
    return tuple(component for component in ALL if not names or component.name in names)

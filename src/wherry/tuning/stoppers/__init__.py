"""The early stoppers, a line each."""

from wherry.tuning.stoppers.asha import ASHA
from wherry.tuning.stoppers.medianstop import MedianStop
from wherry.tuning.stoppers.none import Never
from wherry.tuning.stopping import Stopper

ALL: tuple[Stopper, ...] = (MedianStop(), ASHA(), Never())


def find(name: str) -> Stopper | None:
    """Return the stopper of that name; None: it is none of ours."""
    return next((each for each in ALL if each.name == name), None)


def get(name: str) -> Stopper:
    """Return the stopper of that name.

    Raises:
        LookupError: there is none; the message names those that are.
    """
    found = find(name)
    if found is not None:
        return found
    known = ", ".join(sorted(one.name for one in ALL))
    raise LookupError(f"no early-stopping algorithm {name!r}; known: {known}")

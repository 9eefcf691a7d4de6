"""The early stoppers, a line each."""

from wherry.tuning.stoppers.asha import ASHA
from wherry.tuning.stoppers.medianstop import MedianStop
from wherry.tuning.stoppers.none import Never
from wherry.tuning.stopping import Stopper

ALL: tuple[Stopper, ...] = (MedianStop(), ASHA(), Never())


def get(name: str) -> Stopper:
    """Return the stopper of that name.

    Raises:
        LookupError: there is none; the message names those that are.
    """
    for stopper in ALL:
        if stopper.name == name:
            return stopper
    known = ", ".join(sorted(one.name for one in ALL))
    raise LookupError(f"no early-stopping algorithm {name!r}; known: {known}")

"""The search algorithms, a line each."""

from wherry.tuning.algorithm import Algorithm
from wherry.tuning.algorithms.asha import ASHA
from wherry.tuning.algorithms.bayesianoptimization import BayesianOptimization
from wherry.tuning.algorithms.bohb import BOHB
from wherry.tuning.algorithms.cmaes import CMAES
from wherry.tuning.algorithms.darts import DARTS
from wherry.tuning.algorithms.enas import ENAS
from wherry.tuning.algorithms.grid import Grid
from wherry.tuning.algorithms.hyperband import Hyperband
from wherry.tuning.algorithms.nsga2 import NSGA2
from wherry.tuning.algorithms.pbt import PBT
from wherry.tuning.algorithms.random import Random
from wherry.tuning.algorithms.sobol import Sobol
from wherry.tuning.algorithms.tpe import TPE, MultivariateTPE

ALL: tuple[Algorithm, ...] = (
    Random(),
    Grid(),
    Sobol(),
    TPE(),
    MultivariateTPE(),
    BayesianOptimization(),
    CMAES(),
    Hyperband(),
    ASHA(),
    BOHB(),
    PBT(),
    NSGA2(),
    ENAS(),
    DARTS(),
)


def find(name: str) -> Algorithm | None:
    """Return the algorithm of that name; None: it is none of ours."""
    return next((each for each in ALL if each.name == name), None)


def get(name: str) -> Algorithm:
    """Return the algorithm of that name.

    Raises:
        LookupError: there is none; the message names those that are.
    """
    found = find(name)
    if found is not None:
        return found
    known = ", ".join(sorted(one.name for one in ALL))
    raise LookupError(f"no search algorithm {name!r}; known: {known}")

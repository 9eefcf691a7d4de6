"""Bayesian optimisation: a model of the objective says where there is most to gain.

The settings are scikit-optimize's, as Katib has them. What they mean here:

``base_estimator``: ``GP``, a Gaussian process; ``RF``, ``ET`` and ``GBRT``, trees, whose spread
stands for how sure they are. ``acq_func``: expected improvement, its probability, a confidence bound;
with ``gp_hedge`` each proposes, and one is taken, likelier the less its place is expected to cost;
``EIps`` and ``PIps`` are ``EI`` and ``PI``. It is ``EI`` where nothing is said, and not ``gp_hedge`` as with
scikit-optimize: a bound looks into one corner after the other, and of few trials none is to spare.
``acq_optimizer``: ``sampling`` takes the best of many places, ``lbfgs`` and ``auto`` climb from there,
where the model has slopes.
"""

from collections.abc import Sequence

from wherry.objects.errors import Cause
from wherry.tuning import history, options
from wherry.tuning.algorithm import Algorithm, Answer, Question, Search
from wherry.tuning.options import Option
from wherry.tuning.space import Space

_OPTIONS = (
    Option(name="base_estimator", default="GP", words=("GP", "RF", "ET", "GBRT")),
    Option(name="n_initial_points", default="10", whole=True, least=0, most=100_000),
    Option(
        name="acq_func",
        default="EI",
        words=("gp_hedge", "LCB", "EI", "PI", "EIps", "PIps"),
    ),
    Option(name="acq_optimizer", default="auto", words=("auto", "sampling", "lbfgs")),
    options.RANDOM_STATE,
)


class BayesianOptimization(Algorithm):
    """``bayesianoptimization``."""

    name = "bayesianoptimization"

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong with the settings."""
        return options.check(_OPTIONS, search.settings)

    def propose(self, question: Question) -> Answer:
        """Return where there is most to gain."""
        from wherry.tuning.models import model_search  # noqa: PLC0415  (NumPy: lazily)

        read = options.of(_OPTIONS, question.search)
        how = model_search.How(
            estimator=read.text("base_estimator"),
            startup=read.whole("n_initial_points"),
            function=read.text("acq_func"),
            climbs=read.text("acq_optimizer") != "sampling",
        )
        points, ended = model_search.points(Space(question.search.parameters), question, how)
        return Answer(proposals=history.proposals(points), ended=ended)

"""Tree-structured Parzen estimation, under both of Katib's names.

``tpe`` takes the settings of Hyperopt's and of Optuna's, both of which Katib has served under that
name. Either way parameters are estimated together: that finds better points than one at a time.
"""

from collections.abc import Sequence
from typing import ClassVar

from wherry.objects.errors import Cause
from wherry.tuning import history, options
from wherry.tuning.algorithm import Algorithm, Answer, Question, Search
from wherry.tuning.options import Option
from wherry.tuning.space import Space

_OPTUNA = (
    options.RANDOM_STATE,
    Option(name="n_startup_trials", default="10", whole=True, least=0, most=100_000),
    Option(name="n_ei_candidates", default="128", whole=True, least=0, most=100_000),
)
_HYPEROPT = (
    Option(name="gamma", default="0.1", above=0, below=1),
    Option(name="prior_weight", default="1", above=0),
    Option(name="n_EI_candidates", whole=True, above=0, most=100_000),
)


class _Parzen(Algorithm):
    OPTIONS: ClassVar[Sequence[Option]]

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong with the settings."""
        return options.check(self.OPTIONS, search.settings)

    def propose(self, question: Question) -> Answer:
        """Return points that are likelier among the good trials than among the others."""
        from wherry.tuning.models import parzen, parzen_search  # noqa: PLC0415  (NumPy: lazily)

        read = options.Settings((*_OPTUNA, *_HYPEROPT), question.search.settings)
        candidates = read.text("n_EI_candidates") or read.text("n_ei_candidates")
        how = parzen.Estimation(
            best_part=read.number("gamma"),
            prior_weight=read.number("prior_weight"),
            candidates=max(int(candidates), 1),
        )
        points, ended = parzen_search.points(
            Space(question.search.parameters),
            question,
            how=how,
            startup=read.whole("n_startup_trials"),
        )
        return Answer(proposals=history.proposals(points), ended=ended)


class TPE(_Parzen):
    """``tpe``."""

    name = "tpe"
    OPTIONS = (*_OPTUNA, *_HYPEROPT)


class MultivariateTPE(_Parzen):
    """``multivariate-tpe``."""

    name = "multivariate-tpe"
    OPTIONS = _OPTUNA

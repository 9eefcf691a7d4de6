"""No early stopping: every trial runs to its end."""

from collections.abc import Mapping, Sequence

from wherry.objects.errors import Cause
from wherry.tuning import options
from wherry.tuning.stopping import Stopper


class Never(Stopper):
    """``none``."""

    name = "none"

    def validate(self, settings: Mapping[str, str]) -> Sequence[Cause]:
        """Return what is wrong: it has no settings."""
        return options.check((), settings, field=options.EARLY_STOPPING)

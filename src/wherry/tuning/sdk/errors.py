"""What can go wrong with a search, by what its user can do."""


class TuningError(Exception):
    """A search could not be started, or there is no more to be learnt of it."""


class FailedSearchError(TuningError):
    """A search has failed, or has ended without a single good trial."""

"""How examples are made for tests that state a law."""

from hypothesis import HealthCheck, settings

# Machines are slow now and then, and a slow example is no fault.
_ANYWHERE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("searching", _ANYWHERE)
# The same examples each time: what `make test` says of a change is said of that change.
settings.register_profile("steady", _ANYWHERE, derandomize=True, database=None)
settings.load_profile("searching")

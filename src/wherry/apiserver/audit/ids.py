"""Names of requests, in their answers and in the audit log: a UUID for each, and hardly any work.

They have to differ and need not be secret, so that one draw of random bits serves a whole process: a
UUID of its own for every request would cost as much as reading the object that it asks for.
"""

import itertools
import secrets

_LAST_BITS = 48
_DRAWN = f"{secrets.randbits(80):020x}"
# Version 4, and the variant of RFC 9562.
_PREFIX = f"{_DRAWN[:8]}-{_DRAWN[8:12]}-4{_DRAWN[12:15]}-a{_DRAWN[15:18]}-"
# Half of the range is left to count in: no process lives through 2**47 requests.
_numbers = itertools.count(secrets.randbits(_LAST_BITS - 1))


def new() -> str:
    """Return the UUID of a request."""
    return f"{_PREFIX}{next(_numbers):012x}"

"""The process that serves the API: ``python -m wherry.tuning.api ADDRESS``.

The database is named by the variable ``WHERRY_TUNING_DATABASE``, for its URL may hold a password.
What happens is told by lines of JSON on standard output, the first when it serves. It ends when its
standard input does: with whoever has started it.
"""

import os
import sys

from wherry.controller.serving import relayed
from wherry.metadata.errors import DatabaseError
from wherry.tuning.api import serving


def main() -> int:
    """Serve until told to end."""
    where = os.environ["WHERRY_TUNING_DATABASE"]
    return relayed.serve(
        lambda address, told: serving.serve(where, address, told), (DatabaseError, RuntimeError)
    )


if __name__ == "__main__":
    sys.exit(main())

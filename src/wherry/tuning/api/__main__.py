"""The process that serves the API: ``python -m wherry.tuning.api ADDRESS``.

The database is named by the variable ``WHERRY_TUNING_DATABASE``, for its URL may hold a password.
What happens is told by lines of JSON on standard output, the first when it serves. It ends when its
standard input does: with whoever has started it.
"""

import json
import os
import sys
import threading

from wherry.metadata.errors import DatabaseError
from wherry.tuning.api import serving

_END_SECONDS = 2.0


def main() -> int:
    """Serve until told to end."""
    lock = threading.Lock()

    def told(what: dict[str, str]) -> None:
        with lock:
            sys.stdout.write(json.dumps(what) + "\n")
            sys.stdout.flush()

    try:
        server = serving.serve(os.environ["WHERRY_TUNING_DATABASE"], sys.argv[1], told)
    except (DatabaseError, RuntimeError) as error:
        told({"failed": str(error)})
        return 1
    told({"serving": sys.argv[1]})
    sys.stdin.buffer.read()
    server.stop(_END_SECONDS).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

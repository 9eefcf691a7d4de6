"""The process behind a `relay.Relay`: how it says what happens, and when it ends."""

import json
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

_END_SECONDS: Final = 2.0

Told = Callable[[dict[str, Any]], None]
"""Called with what has happened; for many threads."""


class Server(Protocol):
    """What answers: a server of gRPC."""

    def stop(self, grace: float | None) -> Any:
        """Take no more calls; what is returned waits until the last have ended."""


def serve(make: Callable[[str, Told], Server], refusals: tuple[type[Exception], ...]) -> int:
    """Serve until standard input ends, with whoever has started this process; return the exit code.

    Args:
        make: Starts the server at an address, ``host:port`` or ``unix:/path``: the word that this
            process was started with. What it tells beside goes to standard output, a line of JSON each.
        refusals: What it may raise, where it cannot be started.
    """
    lock = threading.Lock()

    def told(what: dict[str, Any]) -> None:
        with lock:
            sys.stdout.write(json.dumps(what) + "\n")
            sys.stdout.flush()

    try:
        server = make(sys.argv[1], told)
    except refusals as error:
        told({"failed": str(error)})
        return 1
    told({"serving": sys.argv[1]})
    sys.stdin.buffer.read()
    server.stop(_END_SECONDS).wait()
    return 0

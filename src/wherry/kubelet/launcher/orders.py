"""What the launcher and a warmed process tell one another.

An order is one packet on a socket of their own: a `Plan` as JSON, and with it the descriptors of the child's standard
input, output, error and of its end of the status socket (``spawn`` says what is written there; such a child first
writes ``pid N``, and ``cold WHY`` if it executes its program after all). A warmed process itself sends one packet:
``{"ready": true}``, or why it is none.
"""

import dataclasses
import json
import os
import socket
from typing import Any

from wherry.kubelet.launcher import spawn, types

MAX_BYTES = 96 * 1024
"""A packet has to fit into a socket's buffer; a container with a larger environment starts cold."""

DESCRIPTORS = 4


def encode(plan: spawn.Plan) -> bytes:
    """Return an order to fork."""
    values = {**plan._asdict(), "spec": types.spec_values(plan.spec)}
    return json.dumps(values).encode()


def send(
    control: socket.socket, plan: spawn.Plan, standard: tuple[int, int, int]
) -> socket.socket | None:
    """Order a fork.

    Args:
        control: Where somebody waits for an order.
        plan: What the child shall become.
        standard: Descriptors for standard input, output and error; the caller keeps its own copies.

    Returns:
        The launcher's end of the child's status socket, or None if there is nobody, or no room for the order.
    """
    data = encode(plan._replace(launcher=os.getpid()))
    if len(data) > MAX_BYTES:
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        socket.send_fds(control, [data], [*standard, theirs.fileno()])
    except OSError:  # it is dead, or has more to do than its socket holds
        ours.close()
        return None
    finally:
        theirs.close()
    ours.settimeout(0)
    return ours


def decode(data: bytes) -> spawn.Plan:
    """Read an order to fork."""
    values: dict[str, Any] = json.loads(data)
    spec = types.spec_from(values["spec"])
    return spawn.Plan(**{**values, "spec": spec, "nofile": tuple(values["nofile"])})


def packet(data: bytes) -> dict[str, Any]:
    """Read what a warmed process says of itself.

    Raises:
        ValueError: It is nothing that one would say.
    """
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError("not an object")
    return message


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """What a warmed process is to be, as JSON on its command line."""

    flags: tuple[str, ...]
    preload: tuple[str, ...]
    control: int
    """Number of the descriptor of its socket."""
    begin_in: str
    """The launcher's own folder if children can leave the machine's namespaces ahead (`ahead`); else empty."""

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(dataclasses.asdict(self))

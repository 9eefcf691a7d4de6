"""What the launcher and a warmed process tell one another.

An order is one packet on a socket of their own: a `Plan` as JSON, and with it the descriptors of the child's standard
input, output, error and of its end of the status socket (``spawn`` says what is written there; such a child first
writes ``pid N``, and ``cold WHY`` if it executes its program after all). A warmed process itself sends one packet:
``{"ready": true}``, or why it is none.
"""

import dataclasses
import json
from typing import Any

from wherry.kubelet.launcher import spawn, types

MAX_BYTES = 96 * 1024
"""A packet has to fit into a socket's buffer; a container with a larger environment starts cold."""

DESCRIPTORS = 4


def encode(plan: spawn.Plan) -> bytes:
    """Return an order to fork."""
    values = {**plan._asdict(), "spec": types.spec_values(plan.spec)}
    return json.dumps(values).encode()


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

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(dataclasses.asdict(self))

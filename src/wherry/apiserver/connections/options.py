"""What a request for a connection asks for: the query parameters, which may be repeated."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from wherry.apiserver.call import Call
from wherry.objects import errors

_MOST_FIELDS = 10_000
_MOST_PORTS = 100


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """`PodExecOptions` and `PodAttachOptions`.

    Attributes:
        command: What to run; empty for attach.
        stdin: Whether the client writes.
        stdout: Whether it wants to see standard output.
        stderr: Whether it wants to see standard error.
        tty: Whether the command gets a terminal.
    """

    command: tuple[str, ...]
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


def values(request: web.BaseRequest, name: str) -> list[str]:
    """Return all values of a parameter, in order.

    Raises:
        BadRequestError: There are too many parameters.
    """
    query = request.raw_path.partition("?")[2]
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise errors.BadRequestError("the query has too many parameters") from error
    return [value for key, value in pairs if key == name]


def command_options(request: web.BaseRequest, call: Call) -> CommandOptions:
    """Read the options of exec and attach.

    Raises:
        BadRequestError: One is missing or cannot be read.
    """
    command = tuple(values(request, "command"))
    stdin, stdout, stderr = (call.flag(name) for name in ("stdin", "stdout", "stderr"))
    if call.request.subresource == "exec" and not (command and command[0]):
        raise errors.BadRequestError("you must specify at least one command for the container")
    if any("\0" in part for part in command):
        raise errors.BadRequestError("the command must not have NUL characters")
    if not (stdin or stdout or stderr):
        raise errors.BadRequestError("you must specify at least 1 of stdin, stdout, stderr")
    return CommandOptions(command, stdin, stdout, stderr, call.flag("tty"))


def ports(request: web.BaseRequest) -> list[int]:
    """Read the ports to be forwarded: ``ports=1&ports=2`` or ``ports=1,2``.

    Raises:
        BadRequestError: One is no port, or there are none.
    """
    texts = [part for value in values(request, "ports") for part in value.split(",")]
    if not 0 < len(texts) <= _MOST_PORTS:
        raise errors.BadRequestError(
            f"the query parameter ports must name 1 to {_MOST_PORTS} ports"
        )
    return [port(text) for text in texts]


def port(text: str) -> int:
    """Return a port number.

    Raises:
        BadRequestError: It is none.
    """
    if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536:
        return int(text)
    raise errors.BadRequestError(f'"{text[:40]}" is not a port: 1 to 65535 is accepted')

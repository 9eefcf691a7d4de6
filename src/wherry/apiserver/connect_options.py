"""What a connection asks for, as the object that webhooks and policies are shown.

Source: `PodExecOptions` and its like in `k8s.io/api/core/v1`; their fields travel as query parameters.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from wherry.apiserver.call import is_true
from wherry.objects import errors, kinds
from wherry.objects.requests import Object

_MOST_FIELDS: Final = 10_000
_MOST_PORT_DIGITS: Final = 5

_Read = Callable[[Sequence[str]], Any]


def _flag(values: Sequence[str]) -> bool:
    return is_true(values[-1])


def _text(values: Sequence[str]) -> str:
    return values[-1]


def _ports(values: Sequence[str]) -> list[int]:
    texts = [text for value in values for text in value.split(",")]
    # What is no port is refused where the connection is made, in the words of that place.
    return [int(text) for text in texts if text.isdecimal() and len(text) <= _MOST_PORT_DIGITS]


_FLAGS: Final = dict.fromkeys(("stdin", "stdout", "stderr", "tty"), _flag)
_FIELDS: Final[Mapping[str, Mapping[str, _Read]]] = {
    "PodExecOptions": {**_FLAGS, "container": _text, "command": list},
    "PodAttachOptions": {**_FLAGS, "container": _text},
    "PodPortForwardOptions": {"ports": _ports},
}
"""By kind; the options of proxies are a path."""


def of(described: kinds.Subresource, raw_path: str) -> Object:
    """Return the options of a connection.

    Args:
        described: The subresource.
        raw_path: Path and query as they were sent.

    Raises:
        BadRequestError: There are too many parameters.
    """
    obj: Object = {"kind": described.kind, "apiVersion": described.version}
    path, _, query = raw_path.partition("?")
    if described.name == "proxy":
        return {**obj, "path": _proxied(path)}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise errors.BadRequestError("the query has too many parameters") from error
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    for name, read in _FIELDS[described.kind].items():
        if name in given:
            obj[name] = read(given[name])
    return obj


def _proxied(path: str) -> str:
    """Return what is asked of the server behind a proxy."""
    parts = path.split("/")
    own = 8 if parts[3:4] == ["namespaces"] else 6
    return "/" + "/".join(parts[own:])

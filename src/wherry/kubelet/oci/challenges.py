"""What a registry asks for in `WWW-Authenticate`. Pure.

Source: RFC 9110, section 11.6.1, and the distribution project's token authentication.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

_MAX_BYTES = 16 * 1024
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word for a name
_SCHEME = re.compile(rf"\s*({_TOKEN})(?:\s+|\s*$|\s*(?=,))")
_PARAMETER = re.compile(
    rf"\s*({_TOKEN})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]*))\s*(?:,|$)", re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Challenge(NamedTuple):
    """One way to identify oneself."""

    scheme: str
    """In lower case: `basic`, `bearer`."""
    parameters: dict[str, str]
    """By lower-case name: `realm`, `service`, `scope`."""


def parse(headers: Iterable[str]) -> list[Challenge]:
    """Read all `WWW-Authenticate` headers of an answer.

    Args:
        headers: Their values; one may hold several challenges. What is malformed is passed over.

    Returns:
        The challenges in their order.
    """
    found: list[Challenge] = []
    for header in headers:
        found += _challenges(header[:_MAX_BYTES])
    return found


def _challenges(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    at = 0
    while at < len(text):
        parameter = _PARAMETER.match(text, at)
        if parameter is not None and found:
            name, quoted, plain = parameter.groups()
            value = _ESCAPED.sub(r"\1", quoted) if quoted is not None else plain
            found[-1].parameters.setdefault(name.lower(), value)
            at = parameter.end()
            continue
        scheme = _SCHEME.match(text, at)
        if scheme is not None:
            found.append(Challenge(scheme[1].lower(), {}))
            at = scheme.end()
        else:
            at += 1
    return found

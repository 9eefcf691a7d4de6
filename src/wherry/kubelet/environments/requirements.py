"""Requirement lines: which are allowed, how a pod's annotation lists them, and what may be shown. Pure.

What a pod asks for comes from whoever may create pods, so it is held to a stricter form than an
Environment's own list: names and addresses, no paths of this machine, and no options but those that say
where packages come from.
"""

import re
from dataclasses import dataclass

ANNOTATION = "wherry.dev/requirements"
"""Of a pod: packages on top of its images' environments; with ``.<container>`` for one container."""

_MOST = 100
_MOST_CHARACTERS = 512
_LINE = re.compile(
    r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?\s*(?:\[[\w.,\s-]*\])?\s*"
    r"(?:@\s*(?:git\+)?https?://\S+|\(?[\w.*+!<>=~,\s-]*\)?)"
    r"(?:\s*;[\w\s.'\"<>=!~()-]+)?"
)
# A comma parts requirements where a name follows; in `a>=1,<2` and `a[x,y]` it does not part them.
_COMMA = re.compile(r",(?![^\[\]]*\])(?=\s*[A-Za-z])")
_USER = re.compile(r"(?<=://)[^/@\s]+@")


_INDEX = re.compile(r"--(?P<option>index-url|extra-index-url) (?P<url>https?://[^\s,]+)")
_PYPI = "https://pypi.org/simple"


class RequirementError(Exception):
    """A line is no requirement; the message says which, and what is accepted."""


@dataclass(frozen=True, slots=True)
class Indexes:
    """Where the packages of an annotation come from.

    Attributes:
        default: Instead of the node's own default; empty: that one.
        extra: Looked into first, in this order.
    """

    default: str = ""
    extra: tuple[str, ...] = ()


def of_annotation(text: str) -> tuple[str, ...]:
    """Return what an annotation lists, by lines or commas, sorted and each once.

    Raises:
        RequirementError: a line is not allowed, or there are too many.
    """
    lines: set[str] = set()
    for line in text.splitlines():
        if _INDEX.fullmatch(line.strip()):
            continue
        pieces = [line] if " @ " in line else _COMMA.split(line)
        lines |= {piece.strip() for piece in pieces if piece.strip()}
    if len(lines) > _MOST:
        raise RequirementError(f"{ANNOTATION}: {len(lines)} packages; at most {_MOST} are accepted")
    for line in lines:
        if len(line) > _MOST_CHARACTERS or not _LINE.fullmatch(line):
            raise RequirementError(
                f"{ANNOTATION}: {shown(line[:_MOST_CHARACTERS])!r} is not accepted: want packages "
                "such as numpy>=2 or name @ https://…, one a line or parted by commas"
            )
    return tuple(sorted(lines))


def indexes(text: str) -> Indexes:
    """Return what an annotation says of indexes: lines with ``--index-url`` and ``--extra-index-url``.

    PyPI itself is what the node's default stands for: where that is a mirror, the mirror is asked.
    """
    found = [match for line in text.splitlines() if (match := _INDEX.fullmatch(line.strip()))]
    named = [(match["option"], match["url"]) for match in found]
    named = [(option, url) for option, url in named if url.rstrip("/") != _PYPI]
    default = next((url for option, url in named if option == "index-url"), "")
    return Indexes(default, tuple(url for option, url in named if option == "extra-index-url"))


def check(lines: tuple[str, ...], place: str) -> None:
    """Refuse what is an option rather than a package.

    Args:
        lines: Of an Environment.
        place: Name of the field.

    Raises:
        RequirementError: a line is not allowed.
    """
    for line in lines:
        if not line.strip() or line.lstrip().startswith("-") or "\n" in line:
            raise RequirementError(
                f"{place}: {shown(line)!r} must be one package such as numpy>=2, no option"
            )


def shown(text: str) -> str:
    """Return a text that people may see: without what stands for user and password in addresses."""
    return _USER.sub("***@", text)

"""URL paths of resources, taken apart without regular expressions: every request passes here."""

from typing import NamedTuple
from urllib.parse import unquote

from wherry.objects import errors

_MAX_PATH_CHARACTERS = 8192
# Below a namespace these are parts of the namespace itself, not resources in it.
_NAMESPACE_PARTS = frozenset({"status", "finalize"})


class Target(NamedTuple):
    """What a path names.

    Attributes:
        group: API group, empty for core.
        version: API version.
        plural: The resource.
        namespace: None where the path names none.
        name: None for the collection.
        subresource: None for the object itself.
        rest: What follows, for proxies: ``("a", "b")``.
    """

    group: str
    version: str
    plural: str
    namespace: str | None
    name: str | None
    subresource: str | None
    rest: tuple[str, ...]


def segments(path: str) -> list[str]:
    """Return a path's decoded parts; a trailing slash adds none.

    Args:
        path: The path as it was sent, without query.

    Raises:
        BadRequestError: It has empty parts, or ``.``, ``..``, encoded slashes or NULs in them.
    """
    if len(path) > _MAX_PATH_CHARACTERS:
        raise errors.BadRequestError(f"the path is longer than {_MAX_PATH_CHARACTERS} characters")
    parts = _own_part(path).split("/")[1:]
    if parts and not parts[-1]:
        parts.pop()
    if "%" in path:
        parts = [_decoded(part) for part in parts]
    if "" in parts or "." in parts or ".." in parts:
        raise errors.BadRequestError('the path must not have parts that are empty, "." or ".."')
    return parts


def _own_part(path: str) -> str:
    """Cut off what follows ``/proxy/``: that is the path of somebody else, whose rules we do not know."""
    if "/proxy/" not in path:
        return path
    before = path.partition("/proxy/")[0]
    parts = before.split("/")
    proxied = parts[-2:-1] in (["pods"], ["services"]) and parts[3:4] == ["namespaces"]
    return f"{before}/proxy" if proxied and len(parts) == 7 else path


def _decoded(part: str) -> str:
    try:
        text = unquote(part, errors="strict")
    except UnicodeDecodeError as error:
        raise errors.BadRequestError("the path is not UTF-8") from error
    if "/" in text or "\0" in text:
        raise errors.BadRequestError("the path must not have encoded slashes or NUL characters")
    return text


def target(parts: list[str]) -> Target | None:
    """Return what a path under ``/api/VERSION`` or ``/apis/GROUP/VERSION`` names; None for others."""
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace: str | None = None
    in_namespace = rest[0] == "namespaces" and len(rest) >= 3
    if in_namespace and (group or rest[2] not in _NAMESPACE_PARTS):
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else None
    subresource = rest[2] if len(rest) > 2 else None
    return Target(group, version, rest[0], namespace, name, subresource, tuple(rest[3:]))

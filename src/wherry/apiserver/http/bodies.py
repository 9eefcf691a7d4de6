"""Request bodies: read within bounds, decoded from JSON, YAML or protobuf."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

import orjson
import yaml
from aiohttp import web

from wherry.objects import errors, protobufs, yaml_bounds
from wherry.objects.requests import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
)

MAX_BODY_BYTES: Final = 3 * 1024 * 1024
MAX_DEPTH: Final = 200
"""Levels of nesting; orjson itself writes no more than 254."""
BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive."""
_FREE_SECONDS: Final = 5.0
_LEAST_BYTES_PER_SECOND: Final = 1024
"""How fast a body must come after the first `_FREE_SECONDS`."""
MAX_YAML_NODES: Final = 200_000
"""Values in a YAML body, each alias counted with all it stands for."""

PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
_JSON: Final = frozenset({"", "application/json", "*/*"})
_YAML: Final = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
PATCHES: Final = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)


@dataclass(frozen=True, slots=True)
class Body:
    """A decoded body.

    Attributes:
        value: JSON value; None where there was no body.
        content_type: Media type without parameters.
        duplicates: Paths of fields that were given twice.
    """

    value: Any
    content_type: str
    duplicates: tuple[str, ...] = ()


async def read(request: web.BaseRequest) -> bytes:
    """Read a body.

    Raises:
        RequestEntityTooLargeError: It is larger than `MAX_BODY_BYTES`.
        BadRequestError: It did not arrive in time, or is not what its headers say.
    """
    if not request.body_exists:
        return b""
    if (length := request.content_length) is not None and length > MAX_BODY_BYTES:
        raise _too_large()
    content = request.content
    if content.is_eof():
        data = content.read_nowait()
        if len(data) > MAX_BODY_BYTES:
            raise _too_large()
        return data
    chunks, size = [], 0
    try:
        started = asyncio.get_running_loop().time()
        async with asyncio.timeout_at(started + _FREE_SECONDS) as timeout:
            async for chunk in content.iter_any():
                size += len(chunk)
                seconds = min(BODY_SECONDS, _FREE_SECONDS + size / _LEAST_BYTES_PER_SECOND)
                timeout.reschedule(started + seconds)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                chunks.append(chunk)
    except TimeoutError as error:
        raise errors.BadRequestError(
            f"the request body came too slowly: {size} bytes of it have arrived; "
            f"{_LEAST_BYTES_PER_SECOND} a second are expected, and all of it within "
            f"{BODY_SECONDS:.0f} seconds"
        ) from error
    return b"".join(chunks)


def _too_large() -> errors.RequestEntityTooLargeError:
    return errors.RequestEntityTooLargeError(f"Request entity too large: limit is {MAX_BODY_BYTES}")


def media_type(header: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return header.partition(";")[0].strip().lower()


def decode(data: bytes, content_type: str, *, find_duplicates: bool) -> Body:
    """Decode a body.

    Args:
        data: As it was sent.
        content_type: As `media_type` gives it.
        find_duplicates: Whether to look for fields that are given twice.

    Raises:
        BadRequestError: It cannot be read, or nests too deep.
        UnsupportedMediaTypeError: Its type is none of those read.
    """
    if not data:
        return Body(None, content_type)
    if content_type == PROTOBUF:
        return Body(_protobuf(data), content_type)
    if content_type in _YAML or content_type == APPLY_PATCH:
        value, duplicates = _yaml(data)
        return Body(value, content_type, duplicates)
    if content_type not in _JSON and content_type not in PATCHES:
        raise errors.UnsupportedMediaTypeError(
            f"the body of the request was in an unknown format - accepted media types include: "
            f"application/json, application/yaml, {PROTOBUF}"
        )
    value = _json(data)
    return Body(value, content_type, duplicate_fields(data) if find_duplicates else ())


def _protobuf(data: bytes) -> Any:
    try:
        return protobufs.decode(data)
    except ValueError as error:
        raise errors.BadRequestError(f"the protobuf body cannot be read: {error}") from error


def _json(data: bytes) -> Any:
    try:
        value = orjson.loads(data)
    except ValueError as error:
        raise errors.BadRequestError(f"the body is not JSON: {error}") from error
    # What has few brackets cannot be deep: almost no body is walked.
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        _check_depth(value)
    return value


def _check_depth(value: Any) -> int:
    """Return how many values there are; each is visited as often as it is referred to.

    Raises:
        BadRequestError: They nest too deep, or are too many.
    """
    count, level = 0, [value]
    for _ in range(MAX_DEPTH):
        count += len(level)
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each.values()
            elif isinstance(each, list):
                below += each
            if len(below) > MAX_BODY_BYTES:
                raise errors.BadRequestError("the body has too many values")
        if not below:
            return count
        level = below
    raise errors.BadRequestError(f"the body nests more than {MAX_DEPTH} levels deep")


class _Pairs(list[tuple[str, Any]]):
    """An object with its fields as they stand in the text."""


def duplicate_fields(data: bytes) -> tuple[str, ...]:
    """Return the paths of JSON fields that are given twice, e.g. ``spec.replicas``."""
    twice = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal twice
        if len(pairs) > 1 and len({key for key, _ in pairs}) != len(pairs):
            twice = True

    try:
        json.loads(data, object_pairs_hook=look)
        if not twice:
            return ()
        found: list[str] = []
        _walk(json.loads(data, object_pairs_hook=_Pairs), "", found)
    except (ValueError, RecursionError):
        # orjson has read it, or refused it: this is only about duplicates.
        return ()
    return tuple(found)


def _walk(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            place = f"{path}.{key}" if path else key
            if key in seen and place not in found:
                found.append(place)
            seen.add(key)
            _walk(item, place, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, f"{path}[{index}]", found)


class _Loader(yaml_bounds.BoundedMerges, yaml.CSafeLoader):
    """YAML as Kubernetes reads it: times stay text, fields given twice are remembered."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.duplicates: list[str] = []


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    loader.flatten_mapping(node)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, bool):
            key = "true" if key else "false"
        if not isinstance(key, str | int | float):
            raise errors.BadRequestError("the body is not YAML of an object: keys must be text")
        if str(key) in result:
            loader.duplicates.append(str(key))
        result[str(key)] = loader.construct_object(value_node, deep=True)
    return result


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _yaml(data: bytes) -> tuple[Any, tuple[str, ...]]:
    try:
        text = data.decode()
        if text.lstrip()[:1] in {"{", "["}:
            return _json(data), duplicate_fields(data)
        yaml_bounds.check(text, MAX_YAML_NODES)
        loader = _Loader(text)
        try:
            value = loader.get_single_data()
        finally:
            loader.dispose()
        if _check_depth(value) > MAX_YAML_NODES:
            raise errors.BadRequestError(f"the body has more than {MAX_YAML_NODES} values")
        # Through JSON: what has no JSON form is refused, and aliases become copies.
        return orjson.loads(orjson.dumps(value)), tuple(loader.duplicates)
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, ValueError, RecursionError) as error:
        raise errors.BadRequestError(f"the body is not YAML: {str(error)[:200]}") from error

"""How many may hold a semaphore: kept in ConfigMaps, or in the database, as workflows refer to them."""

import enum
from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import errors
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.workflows.server.calls import Answer, Call, Handler

_CONFIG_MAPS: Final = core.CONFIG_MAPS.plural
_BASE: Final = "/api/v1/sync/{namespace}"
_MOST: Final = 2**31 - 1
_LONGEST_KEY: Final = 253


class Place(enum.StrEnum):
    """Where limits are kept."""

    CONFIG_MAP = "CONFIG_MAP"
    DATABASE = "DATABASE"


_PLACES: Final[Mapping[str, Place]] = {
    "": Place.CONFIG_MAP,
    "0": Place.CONFIG_MAP,
    "1": Place.DATABASE,
    **{each.value: each for each in Place},
}


async def create(call: Call) -> Answer:
    """Set a limit that there is none of yet; its ConfigMap is made where it is missing."""
    place = await _place(call, "create", str(call.body.get("type") or ""))
    key, limit = call.sent("key", str), _limit(call)
    if place is Place.CONFIG_MAP:
        return await _create_in_config_map(call, key, limit)
    if not 0 < len(key) <= _LONGEST_KEY:
        raise errors.BadRequestError(f"key: {key[:50]!r}: want 1 to {_LONGEST_KEY} characters")
    if not await call.services.archive.create_limit(call.namespace, key, limit):
        raise errors.AlreadyExistsError(f"the database has a limit {key!r} already")
    return _told(call, key, limit, type=place.value)


async def get(call: Call) -> Answer:
    """Return a limit."""
    key = call.named["key"]
    if await _place(call, "get", call.option("type")) is Place.CONFIG_MAP:
        name = call.option("cmName")
        return _told(call, key, await _present(call, name, key), cmName=name)
    limit = await call.services.archive.limit(call.namespace, key)
    if limit is None:
        raise _unknown(key)
    return _told(call, key, limit, type=Place.DATABASE.value)


async def update(call: Call) -> Answer:
    """Change a limit."""
    place = await _place(call, "update", str(call.body.get("type") or ""))
    name, key, limit = call.sent("cmName", str), call.named["key"], _limit(call)
    if place is Place.CONFIG_MAP:
        await _present(call, name, key)
        await _set(call, name, key, str(limit))
        return _told(call, key, limit, cmName=name)
    if not await call.services.archive.change_limit(call.namespace, key, limit):
        raise _unknown(key)
    return _told(call, key, limit, type=place.value)


async def delete(call: Call) -> Answer:
    """Take a limit away."""
    name, key = call.option("cmName"), call.named["key"]
    if await _place(call, "delete", call.option("type")) is Place.CONFIG_MAP:
        await _present(call, name, key)
        await _set(call, name, key, None)
    elif not await call.services.archive.delete_limit(call.namespace, key):
        raise _unknown(key)
    return {}


async def _create_in_config_map(call: Call, key: str, limit: int) -> Object:
    name, client = call.sent("cmName", str), call.services.client
    try:
        found = await client.get(core.CONFIG_MAPS, name, call.namespace)
    except errors.NotFoundError:
        head = {"name": name, "namespace": call.namespace}
        made = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": head,
            "data": {key: str(limit)},
        }
        await client.create(core.CONFIG_MAPS, made)
        return _told(call, key, limit, cmName=name)
    if key in (found.get("data") or {}):
        raise errors.AlreadyExistsError(f"ConfigMap {name!r} has a limit {key!r} already")
    await _set(call, name, key, str(limit))
    return _told(call, key, limit, cmName=name)


async def _place(call: Call, verb: str, written: str) -> Place:
    """Return where a limit is kept, once it is known that the caller may do this to it.

    Raises:
        ForbiddenError: they may not. Whoever may change a ConfigMap may take a limit out of it.
        BadRequestError: there is no such place.
    """
    place = _PLACES.get(written)
    if place is Place.DATABASE:
        # Nothing of the API is there in its stead: as upstream's server has it.
        await call.check(verb)
        return place
    await call.check("update" if verb == "delete" else verb, _CONFIG_MAPS, group="")
    if place is None:
        wanted = " or ".join(Place)
        raise errors.BadRequestError(f"type: {written[:50]!r}: want {wanted}")
    return place


def _unknown(key: str) -> errors.NotFoundError:
    return errors.NotFoundError(f"the database has no limit {key[:100]!r}")


async def _present(call: Call, name: str, key: str) -> int:
    found = await call.services.client.get(core.CONFIG_MAPS, name, call.namespace)
    text = str((found.get("data") or {}).get(key) or "")
    if not text.isdecimal():
        raise errors.NotFoundError(f"ConfigMap {name!r} has no limit {key[:100]!r}")
    return int(text)


async def _set(call: Call, name: str, key: str, value: str | None) -> None:
    patch = {"data": {key: value}}
    await call.services.client.patch(core.CONFIG_MAPS, name, patch, call.namespace)


def _limit(call: Call) -> int:
    limit: Any = call.body.get("limit")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= _MOST:
        raise errors.BadRequestError(f"limit: {str(limit)[:50]!r}: want a number from 1 to {_MOST}")
    return limit


def _told(call: Call, key: str, limit: int, **where: str) -> Object:
    kept = {"type": Place.CONFIG_MAP.value, **where}
    return {"namespace": call.namespace, "key": key, "limit": limit, **kept}


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("POST", _BASE): create,
    ("GET", f"{_BASE}/{{key}}"): get,
    ("PUT", f"{_BASE}/{{key}}"): update,
    ("DELETE", f"{_BASE}/{{key}}"): delete,
}

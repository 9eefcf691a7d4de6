"""Who has made an object, written into the object itself by whoever admits it.

As `UserInfo` of ``authentication.k8s.io/v1`` in JSON, the form in which admission webhooks are told.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from wherry.objects import metadata
from wherry.objects.requests import Object

_FIELDS = ("username", "uid", "groups", "extra")


def told(
    name: str, uid: str, groups: Sequence[str], extra: Mapping[str, Sequence[str]]
) -> Mapping[str, Any]:
    """Return a user as a webhook would be told of them."""
    listed = {key: [*values] for key, values in extra.items()}
    return {"username": name, "uid": uid, "groups": [*groups], "extra": listed}


def write(obj: Object, annotation: str, maker: Mapping[str, Any]) -> None:
    """Have an object bear its maker, in place.

    Args:
        obj: The object.
        annotation: Where.
        maker: As `told` gives it; empty: nobody knows, and nothing may say so.
    """
    notes = {key: value for key, value in metadata.annotations(obj).items() if key != annotation}
    known = {field: maker[field] for field in _FIELDS if maker.get(field)}
    if known:
        notes[annotation] = orjson.dumps(known).decode()
    obj["metadata"].pop("annotations", None)
    if notes:
        obj["metadata"]["annotations"] = notes


def read(obj: Object, annotation: str) -> Mapping[str, Any]:
    """Return the maker that an object bears; empty where it bears none."""
    text = metadata.annotations(obj).get(annotation)
    if not text:
        return {}
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}

"""Defaults of a definition in objects that were stored before it had them: filled in when they are read.

What is written is defaulted then; so only objects older than the definition are looked at, and what
came of each is remembered.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import orjson

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.schemas import Schema

_REVISION: Final = re.compile(rb'"resourceVersion":"(\d{1,19})"')
_REMEMBERED: Final = 4096


class StoredDefaults:
    """Fills the defaults of one definition into stored objects.

    Args:
        api_version: As the objects are stored; others are left as they are.
        schema: Of that version.
        revision: Of the definition.
    """

    def __init__(self, api_version: str, schema: Callable[[], Schema], revision: int) -> None:
        self._api_version = api_version
        self._start = b'{"apiVersion":"%s",' % api_version.encode()
        self._schema = schema
        self._revision = revision
        self._known: OrderedDict[bytes, bytes] = OrderedDict()

    def raw(self, raw: bytes) -> bytes:
        """Return the JSON of a stored object with its defaults; the same bytes where it has them."""
        found = _REVISION.search(raw)
        if found is None or int(found[1]) > self._revision or not raw.startswith(self._start):
            return raw
        known = self._known.get(raw)
        if known is None:
            obj = orjson.loads(raw)
            self._schema().default(obj)
            whole = orjson.dumps(obj)
            known = self._known[raw] = raw if whole == raw else whole
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known

    def fill(self, obj: Object) -> None:
        """Fill the defaults into a stored object, in place."""
        if obj.get("apiVersion") != self._api_version:
            return
        if metadata.resource_version(obj) <= self._revision:
            self._schema().default(obj)

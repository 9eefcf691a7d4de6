"""The steps of a path as `FieldsV1` writes them: ``f:name``, ``k:{"name":"a"}``, ``v:"a"``, ``i:0``.

Source: `fieldpath/element.go` and `serialize-pe.go` of structured-merge-diff.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

_SORTED: Final = orjson.OPT_SORT_KEYS
_RANKS: Final[Mapping[str, int]] = {".": 0, "f": 1, "k": 2, "v": 3, "i": 4}
_MAX_INDEX_DIGITS: Final = 9
_REMEMBERED: Final = 4096
"""The names of containers, variables and ports come again and again."""


def key(fields: Mapping[str, Any]) -> str:
    """Return the element of the list item with these key fields."""
    return "k:" + orjson.dumps(fields, option=_SORTED).decode()


def value(item: Any) -> str:
    """Return the element of a set's item."""
    return "v:" + orjson.dumps(item, option=_SORTED).decode()


def index(number: int) -> str:
    """Return the element of an item that nothing but its place tells apart."""
    return f"i:{number}"


def canonical(text: str) -> str | None:
    """Return an element as this module writes it; None for one of a kind that is not known.

    Raises:
        ValueError: It is none.
    """
    kind, content = text[:2], text[2:]
    if kind == "f:":
        return text
    if kind == "i:":
        if not content.isascii() or not content.isdigit() or len(content) > _MAX_INDEX_DIGITS:
            raise ValueError(f"{text!r:.100} has no index")
        return index(int(content))
    if kind == "v:":
        return value(orjson.loads(content))
    if kind == "k:":
        fields = orjson.loads(content)
        if type(fields) is not dict:
            raise ValueError(f"{text!r:.100} has no object of key fields")
        return key(fields)
    if len(text) < 2 or text[1] != ":":
        raise ValueError(f"{text!r:.100} is no path element")
    return None


def ordered(names: Iterable[str]) -> list[str]:
    """Return elements in upstream's order: fields, keys, values, indices, each by its own."""
    found = sorted(names)
    # Names of fields, and the dot, sort as the texts that they are; all other elements come after.
    return sorted(found, key=_rank) if len(found) > 1 and found[-1] >= "g" else found


@functools.lru_cache(maxsize=_REMEMBERED)
def _rank(name: str) -> tuple[Any, ...]:
    kind = name[0]
    content: tuple[Any, ...] = (name,)
    if kind == "k":
        fields = sorted(orjson.loads(name[2:]).items())
        content = tuple((field, *_comparable(item)) for field, item in fields)
    elif kind == "v":
        content = _comparable(orjson.loads(name[2:]))
    elif kind == "i":
        content = (int(name[2:]),)
    return (_RANKS.get(kind, len(_RANKS)), content)


def _comparable(item: Any) -> tuple[int, Any]:
    """Return what sorts as upstream sorts values: numbers, texts, booleans, then all else."""
    if type(item) is bool:
        return (2, item)
    if type(item) is int or type(item) is float:
        return (0, item)
    if type(item) is str:
        return (1, item)
    return (3, orjson.dumps(item, option=_SORTED))


def render(element: str) -> str:
    """Return an element as messages show it: ``.name``, ``[name="a"]``, ``[="a"]``, ``[0]``."""
    kind, content = element[:2], element[2:]
    if kind == "f:":
        return f".{content}"
    if kind == "k:":
        fields = sorted(orjson.loads(content).items())
        return f"[{','.join(f'{name}={_shown(item)}' for name, item in fields)}]"
    return f"[={content}]" if kind == "v:" else f"[{content}]"


def _shown(item: Any) -> str:
    return orjson.dumps(item).decode()

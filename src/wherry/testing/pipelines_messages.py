"""Any messages of the pipelines service, as Hypothesis makes them."""

from typing import Any, Final

from hypothesis import strategies as st

from wherry.objects.message_tables import ANY, STRUCT, TIMESTAMP, VALUE
from wherry.objects.requests import Object
from wherry.pipelines.api import messages, wire

TEXT: Final = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
_DEEPEST: Final = 2
_NUMBERS: Final = st.floats(allow_nan=False, allow_infinity=False, width=32)
_PLAIN: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | _NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
_SECONDS: Final = st.integers(-62135596800, 253402300799)
"""Those of the years 1 to 9999."""
_SCALARS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "string": TEXT,
    "bool": st.booleans(),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "double": _NUMBERS,
    TIMESTAMP: _SECONDS.map(lambda seconds: wire.format_instant(seconds * 1000)),
    STRUCT: st.dictionaries(TEXT, _PLAIN, max_size=2),
    VALUE: _PLAIN.filter(lambda value: value is not None),
}


@st.composite
def message(draw: st.DrawFn, name: str, depth: int = 0) -> Object:
    """Return what makes messages.

    Args:
        draw: Given by Hypothesis.
        name: Of the message.
        depth: How many others it is within.
    """
    made: Object = {}
    chosen = set()
    for field in messages.MESSAGES[name]:
        if field.choice in chosen or field.kind in (ANY, "bytes") or not draw(st.booleans()):
            continue
        if field.kind in messages.MESSAGES and depth > _DEEPEST:
            continue
        one = _one(field.kind, depth)
        if field.mapped:
            one = st.dictionaries(TEXT, one, max_size=2)
        elif field.repeated:
            one = st.lists(one, max_size=2)
        if field.choice:
            chosen.add(field.choice)
        made[field.name] = draw(one)
    return made


def _one(kind: str, depth: int) -> st.SearchStrategy[Any]:
    if kind in messages.MESSAGES:
        return message(kind, depth + 1)
    if kind in messages.ENUMS:
        return st.sampled_from([*messages.ENUMS[kind]])
    return _SCALARS[kind]

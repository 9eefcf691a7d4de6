"""Which objections of a schema are about something new."""

from typing import Any

import pytest

from wherry.apiserver import ratcheting
from wherry.objects.errors import Cause

PLAIN = {"type": "array", "items": {"type": "string"}}
ITEMS = {"type": "object", "properties": {"key": {"type": "string"}, "v": {"type": "string"}}}
KEYED = {
    "type": "array",
    "items": ITEMS,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["key"],
}
SCHEMA = {"type": "object", "properties": {"plain": PLAIN, "keyed": KEYED}}
OLD: dict[str, Any] = {
    "a": "x",
    "map": {"a.b": {"v": "x"}, "a": {"v": "x"}},
    "plain": ["x", "y"],
    "keyed": [{"key": "1", "v": "x"}, {"key": "2", "v": "x"}],
    "one": 1,
}


@pytest.mark.parametrize(
    ("path", "change", "stays"),
    [
        ("a", {}, True),
        ("a", {"a": "y"}, False),
        ("gone.far", {}, True),
        ("gone", {"a": "y"}, False),
        ("map.a.b.v", {"map": {**OLD["map"], "a": {"v": "y"}}}, True),
        ("map.a.v", {"map": {**OLD["map"], "a": {"v": "y"}}}, False),
        ("plain[0]", {"a": "y"}, True),
        ("plain[0]", {"plain": ["x"]}, False),
        ("keyed[1].v", {"keyed": OLD["keyed"][::-1]}, True),
        ("keyed[0].v", {"keyed": [{"key": "3", "v": "x"}]}, False),
        ("keyed[0].v", {"keyed": [{"key": "1", "v": "y"}]}, False),
        ("one", {"one": True}, False),
        ("one", {"one": 1.0}, False),
    ],
)
def test_what_did_not_change_may_stay(path, change, stays):
    cause = Cause(path, "it is wrong")
    left = ratcheting.remaining([cause], {**OLD, **change}, OLD, SCHEMA)
    assert left == ([] if stays else [cause])

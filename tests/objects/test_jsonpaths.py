"""kubectl's JSONPath dialect, and what is kept out of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.objects import jsonpaths

OBJ: dict[str, Any] = {
    "status": {
        "conditions": [
            {"type": "Ready", "status": "True", "n": 3},
            {"type": "Done", "status": "False"},
        ]
    },
    "m": {"a.b": 1, "a-b/c": 2, "it's": 3},
    "l": [1, 2, 3],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ('{.status.conditions[?(@.type=="Ready")].status}', ["True"]),
        (".status.conditions[?(@.type=='Ready')].status", ["True"]),
        (".status.conditions[?( @.type != 'Ready' )].status", ["False"]),
        (".status.conditions[?(@.n)].type", ["Ready"]),
        (".status.conditions[?(@.n>=3)].type", ["Ready"]),
        (".status.conditions[?(@['n'] < 3)].type", []),
        (".status.conditions[?(@.type==@.status)].type", []),
        ("status.conditions[*].type", ["Ready", "Done"]),
        ("..type", ["Ready", "Done"]),
        ("m['a.b']", [1]),
        ('["m"]["a.b"]', [1]),
        (r".m['it\'s']", [3]),
        (r".m.a\.b", [1]),
        (".m.a-b/c", [2]),
        (".m['a.b','a-b/c']", [1, 2]),
        (".m.*", [1, 2, 3]),
        (".l[0]", [1]),
        (".l[-1]", [3]),
        (".l[0,2]", [1, 3]),
        (".l[:2]", [1, 2]),
        (".l[::2]", [1, 3]),
        (".l[?(@ > 1)]", [2, 3]),
        ("$.l", [[1, 2, 3]]),
        ("$", [OBJ]),
        ("{.}", [OBJ]),
        (".missing.deeper[0].still", []),
        (".l.name", []),
        (".m[0]", []),
        (".l[99]", []),
        (".status.conditions[?(@.type > 1)]", []),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    assert jsonpaths.find(path, OBJ) == found


@pytest.mark.parametrize(
    "path",
    ["", "{}", " ", "..", "a..b..c..d", ".a b", ".a[", ".a.", "l[0,0]", "l[0,-1]", "l[x]", "l[::0]",
     "l[99999999999]", ".m['a','a']", "{.a}{.b}", "{range .items[*]}", "ab$", ".a[?(@.x=~'a')]",
     ".a[?(length(@.x)==1)]", ".a[?(@.b[?(@.c)])]", ".a[?(@..b)]", ".a[?(@.*)]", ".a[?('x')]",
     ".a[?(@.b==)]", ".a[?(@.b && @.c)]", ".a" * 600],
)  # fmt: skip
def test_what_is_no_such_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="JSONPath"):
        jsonpaths.check(path)


def test_refusals_show_where_and_an_example() -> None:
    with pytest.raises(ValueError, match=r"invalid JSONPath '\.a b' at ' b'; want one like"):
        jsonpaths.find(".a b", {})


def test_compiled_paths_are_bounded() -> None:
    for number in range(600):
        jsonpaths.find(f".a{number}", {})
    assert jsonpaths._compile.cache_info().currsize <= 512


def test_an_object_nested_too_deep_is_told() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(ValueError, match="cannot be followed"):
        jsonpaths.find("..x", deep)


@given(st.text(alphabet=".[]*?@'\"\\()=<>!-:,$ab0{} ", max_size=24))
def test_any_text_is_followed_or_refused(path: str) -> None:
    try:
        found = jsonpaths.find(path, OBJ)
    except ValueError:
        return
    assert isinstance(found, list)


@given(st.text(min_size=1, max_size=20))
def test_every_key_can_be_named(key: str) -> None:
    quoted = key.replace("\\", "\\\\").replace("'", "\\'")
    assert jsonpaths.find(f"['{quoted}']", {key: 1, key + "x": 2}) == [1]

"""YAML that would end or fill the process that reads it."""

import pytest

from wherry.apiserver.http import bodies
from wherry.objects import documents, errors, yaml_bounds

DEEP = {
    "flow": "a: " + "[" * 100_000,
    "closed": "a: " + "[" * 100_000 + "]" * 100_000,
    "mappings": "a: " + "{a: " * 100_000,
    "blocks": "- " * 100_000,
}


def merges(levels: int) -> str:
    """Return mappings that merge one another, nine at a time."""
    lines = ["a0: &a0 {x: 1}"]
    lines.extend(
        f"a{level}: &a{level}\n  <<: [{', '.join([f'*a{level - 1}'] * 9)}]"
        for level in range(1, levels)
    )
    return "\n".join(lines)


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_deep_nesting_is_an_error(text):
    (found,) = documents.read(text)
    assert isinstance(found, documents.DocumentError)
    assert f"deeper than {yaml_bounds.MAX_DEPTH} levels" in str(found)


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_body_that_nests_deep_is_refused(text):
    with pytest.raises(errors.BadRequestError, match="deeper than"):
        bodies.decode(text.encode(), "application/yaml", find_duplicates=False)


def test_what_nests_as_far_as_is_allowed_is_read():
    text = "[" * yaml_bounds.MAX_DEPTH + "]" * yaml_bounds.MAX_DEPTH
    (found,) = documents.read(text)
    assert isinstance(found, list)


def test_a_great_many_values_are_refused_before_they_are_made():
    text = f"a: [{'1,' * 1_000_000}]"
    (found,) = documents.read(text)
    assert f"more than {documents.MAX_VALUES} values" in str(found)
    with pytest.raises(errors.BadRequestError, match=f"more than {bodies.MAX_YAML_NODES} values"):
        bodies.decode(text.encode(), "application/yaml", find_duplicates=False)


def test_merges_do_not_multiply():
    (found,) = documents.read(merges(30))
    assert "merges more than" in str(found)
    with pytest.raises(errors.BadRequestError, match="merges more than"):
        bodies.decode(merges(30).encode(), "application/yaml", find_duplicates=False)


def test_some_merges_are_fine():
    assert [*documents.read(merges(3))] == [{"a0": {"x": 1}, "a1": {"x": 1}, "a2": {"x": 1}}]

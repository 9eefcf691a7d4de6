import pytest

from wherry.kubelet import expansion


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)z", "x1y2z"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(MISSING)", "$(MISSING)"),
        ("$A ${A}", "$A ${A}"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("end$", "end$"),
        ("$(A)$(A)", "11"),
    ],
)
def test_references_expand_as_upstream(text: str, expected: str) -> None:
    assert expansion.expand(text, {"A": "1", "B": "2"}) == expected

from hypothesis import given
from hypothesis import strategies as st

from wherry.kubelet.oci import challenges


def test_a_bearer_challenge() -> None:
    (found,) = challenges.parse(
        ['Bearer realm="https://auth.io/token",service="reg.io", scope="repository:a/b:pull,push"']
    )
    assert found.scheme == "bearer"
    assert found.parameters == {
        "realm": "https://auth.io/token",
        "service": "reg.io",
        "scope": "repository:a/b:pull,push",
    }


def test_several_in_one_header_and_in_several() -> None:
    found = challenges.parse(
        ['Negotiate, Basic realm="a \\"b\\"", Bearer realm=x', "basic Realm=z"]
    )
    assert [(one.scheme, one.parameters) for one in found] == [
        ("negotiate", {}),
        ("basic", {"realm": 'a "b"'}),
        ("bearer", {"realm": "x"}),
        ("basic", {"realm": "z"}),
    ]


@given(st.lists(st.text(max_size=200), max_size=3))
def test_nothing_is_too_strange(headers: list[str]) -> None:
    for found in challenges.parse(headers):
        assert found.scheme == found.scheme.lower() != ""


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
        min_size=1,
        max_size=5,
    )
)
def test_quoted_values_come_back(parameters: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    line = "Bearer " + ", ".join(f"{name}={quoted(value)}" for name, value in parameters.items())
    assert challenges.parse([line]) == [("bearer", parameters)]

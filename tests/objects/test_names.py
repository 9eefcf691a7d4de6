"""Which names are allowed, and which are made up."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.objects import names

Rule = Callable[[str], list[str]]


@pytest.mark.parametrize(
    ("rule", "good"),
    [
        (names.dns_label, ["a", "0", "my-name", "123-abc", "a" * 63]),
        (names.dns_subdomain, ["a", "a.b", "example.com", "0.1", ".".join(["a" * 63] * 3)]),
        (names.dns1035_label, ["a", "my-name", "a1", "a" * 63]),
        (names.path_segment, ["a", "system:node", "A b", "..."]),
        (names.label_key, ["a", "A_b.c-d", "example.com/x", "k8s.io/" + "x" * 63]),
        (names.label_value, ["", "a", "A_b.c-d", "1" * 63]),
        (names.env_var, ["A", "_a", "my.env-name", ".a"]),
        (names.config_key, ["a", ".bashrc", "0", "x" * 253]),
        (names.port_name, ["http", "8080a", "a-b"]),
    ],
)
def test_good_names(rule: Rule, good: list[str]) -> None:
    assert [rule(text) for text in good] == [[]] * len(good)


@pytest.mark.parametrize(
    ("rule", "bad", "problem"),
    [
        (names.dns_label, "", "RFC 1123 label"),
        (names.dns_label, "a.b", "must not contain dots"),
        (names.dns_label, "a\n", "the pattern is '[a-z0-9]([-a-z0-9]*[a-z0-9])?'"),
        (names.dns_label, "-a", "starts and ends with a letter or digit"),
        (names.dns_label, "A", "lowercase"),
        (names.dns_label, "a" * 64, "must be no more than 63 characters"),
        (names.dns_subdomain, "a..b", "RFC 1123 subdomain"),
        (names.dns_subdomain, "a_b", "RFC 1123 subdomain"),
        (names.dns_subdomain, "a" * 254, "must be no more than 253 characters"),
        (names.dns1035_label, "1a", "starts with a letter"),
        (names.dns1035_label, "a" * 64, "no more than 63"),
        (names.path_segment, ".", "may not be '.'"),
        (names.path_segment, "..", "may not be '..'"),
        (names.path_segment, "a/b", "may not contain '/'"),
        (names.path_segment, "a%b", "may not contain '%'"),
        (names.label_key, "", "name part must be non-empty"),
        (names.label_key, "/a", "prefix part must be non-empty"),
        (names.label_key, "a/", "name part must be non-empty"),
        (names.label_key, "a/b/c", "at most one '/'"),
        (names.label_key, "A/b", "prefix part a lowercase RFC 1123 subdomain"),
        (names.label_key, "x" * 64, "name part must be no more than 63 characters"),
        (names.label_key, "_a", "name part has only letters"),
        (names.label_value, "a b", "a label value"),
        (names.label_value, "é", "a label value"),
        (names.label_value, "a" * 64, "no more than 63"),
        (names.env_var, "1a", "no digit first"),
        (names.env_var, "", "environment variable"),
        (names.env_var, "..a", "must not start with '..'"),
        (names.config_key, "a/b", "config key"),
        (names.config_key, "..", "must not be '..'"),
        (names.config_key, "x" * 254, "no more than 253"),
        (names.port_name, "a" * 16, "no more than 15"),
        (names.port_name, "80", "at least one letter"),
        (names.port_name, "a--b", "consecutive hyphens"),
        (names.port_name, "-a", "begin or end with a hyphen"),
        (names.port_name, "A", "lowercase"),
    ],
)
def test_bad_names(rule: Rule, bad: str, problem: str) -> None:
    assert problem in "; ".join(rule(bad))


@given(st.text(max_size=300))
def test_rules_answer_any_text(text: str) -> None:
    for rule in (names.dns_label, names.dns_subdomain, names.label_key, names.config_key):
        assert all(isinstance(problem, str) for problem in rule(text))
    if not names.dns_label(text):
        assert not names.dns_subdomain(text)


def test_generated_names_fit_a_label_and_differ() -> None:
    made = {names.generate("p" * 80) for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(f"p{{58}}[{names.ALPHABET}]{{5}}", name) for name in made)


def test_suffix_depends_on_the_seed_alone() -> None:
    assert names.suffix("x") == "hkmdz"
    assert names.suffix("x") != names.suffix("y")
    assert re.fullmatch(f"[{names.ALPHABET}]{{10}}", names.suffix("x", 10))
    for length in (0, 51):
        with pytest.raises(ValueError, match="from 1 to 50"):
            names.suffix("x", length)

"""Amounts read, rounded and printed as Kubernetes does."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.objects import quantities

SUFFIXES = ["", *"numkMGTPE", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-3", "e+6"]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0Ki", "0"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("5.", "5"),
        ("+2", "2"),
        ("-1.5", "-1500m"),
        ("1500m", "1500m"),
        ("1000m", "1"),
        ("1.5Gi", "1536Mi"),
        ("1024Ki", "1Mi"),
        ("1025Ki", "1025Ki"),
        ("-2048", "-2048"),
        ("-2Ki", "-2Ki"),
        # Below 1024 and fractions never keep a binary suffix.
        ("0.5Ki", "512"),
        ("1.1Ki", "1126400m"),
        ("100000", "100k"),
        ("123456", "123456"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("2e5", "200e3"),
        ("1e-3", "1e-3"),
        ("1E", "1E"),
        ("1000E", "1000E"),
        ("1e21", "1e21"),
        # Finer than a nano is rounded away from zero; more than 2^63-1 binary is capped.
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("1.0000000001", "1000000001n"),
        ("8Ei", "9223372036854775807"),
        ("-9Ei", "-9223372036854775807"),
        (0.1, "100m"),
        (1e-5, "10e-6"),
        (12, "12"),
    ],
)
def test_canonical_form(text: str | float, canonical: str) -> None:
    assert quantities.canonical(text) == canonical


@pytest.mark.parametrize(
    "bad",
    ["", " 1", "1 ", "1\n", "1kk", "1K", "1mi", "1ki", "Ki", ".", "-", "1e", "1e1.5", "1e100", "0x1",
     "1_000", "1,5", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 65, "NaN", "inf", float("nan"), float("inf"), True, None, [1]],
)  # fmt: skip
def test_refusals_name_the_text_and_what_is_accepted(bad: object) -> None:
    with pytest.raises(
        ValueError, match=r"invalid quantity .* want a number with at most one suffix"
    ):
        quantities.parse(bad)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize(
    ("amount", "millis"), [("100m", 100), ("1", 1000), ("0.0001", 1), ("1.0001", 1001), (2, 2000)]
)
def test_cpu_rounds_up_to_millis(amount: str, millis: int) -> None:
    assert quantities.cpu_millis(amount) == millis


@pytest.mark.parametrize(
    ("amount", "size"),
    [("1Ki", 1024), ("1k", 1000), ("1.5", 2), ("100m", 1), ("1.5Gi", 1610612736)],
)
def test_bytes_round_up(amount: str, size: int) -> None:
    assert quantities.bytes_(amount) == size


def test_format_refuses_what_no_quantity_can_hold() -> None:
    for value in (Decimal("NaN"), Decimal("Infinity"), Decimal("1e201")):
        with pytest.raises(ValueError, match="invalid quantity"):
            quantities.format(value)
    with pytest.raises(ValueError, match="invalid quantity 'x'"):
        quantities.format(Decimal(1), like="x")


numbers = st.from_regex(r"[+-]?[0-9]{1,18}(\.[0-9]{0,12})?", fullmatch=True)


@given(numbers, st.sampled_from(SUFFIXES))
def test_canonical_form_keeps_the_amount_and_is_stable(number: str, suffix: str) -> None:
    text = number + suffix
    canonical = quantities.canonical(text)
    assert quantities.parse(canonical) == quantities.parse(text)
    assert quantities.canonical(canonical) == canonical
    assert "." not in canonical


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = quantities.parse(text)
    except ValueError:
        return
    assert value.is_finite()


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15),
       st.sampled_from(["1Ki", "1k", "1e3"]))  # fmt: skip
def test_sums_print_and_read_back_within_a_nano(value: Decimal, like: str) -> None:
    assert abs(quantities.parse(quantities.format(value, like)) - value) < Decimal("1e-9")

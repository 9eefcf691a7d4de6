import pytest

from wherry.testing.waiting import eventually


def test_returns_what_the_check_returned() -> None:
    answers = iter([None, 0, "", "there"])
    assert eventually(lambda: next(answers)) == "there"


def test_a_failed_assertion_means_not_yet() -> None:
    calls = []

    def check() -> bool:
        calls.append(1)
        assert len(calls) > 2, "too few"
        return True

    assert eventually(check)
    assert len(calls) == 3


def test_gives_up_and_says_what_was_seen() -> None:
    def pods_run() -> list[str]:
        return []

    with pytest.raises(AssertionError, match=r"pods_run: not within 0\.05 s; last: \[\]"):
        eventually(pods_run, 0.05)

    def fails() -> bool:
        raise AssertionError("phase is Pending")

    with pytest.raises(AssertionError, match=r"the pod: .* phase is Pending"):
        eventually(fails, 0.0, what="the pod")


def test_passes_other_errors_on() -> None:
    def broken() -> bool:
        raise KeyError("status")

    with pytest.raises(KeyError):
        eventually(broken)

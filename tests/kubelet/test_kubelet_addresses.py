import pytest

from wherry.kubelet import addresses


def test_each_pod_has_its_own_and_keeps_it() -> None:
    found = addresses.Addresses("127.32.0.0/28")
    given = [found.allocate(f"pod-{number}") for number in range(14)]
    assert len(set(given)) == 14
    assert found.allocate("pod-3") == given[3]
    assert found.foresee("pod-3") == given[3]
    with pytest.raises(addresses.AddressesExhaustedError):
        found.allocate("one-more")
    found.release("pod-5")
    assert found.foresee("one-more") == given[5]
    assert found.foresee("another") == given[5]
    assert found.allocate("one-more") == given[5]


def test_claims() -> None:
    found = addresses.Addresses("127.32.0.0/28")
    assert found.claim("a", "127.32.0.3")
    assert found.claim("a", "127.32.0.3")
    assert not found.claim("b", "127.32.0.3")
    assert not found.claim("b", "10.0.0.1")
    assert not found.claim("b", "nonsense")
    assert found.allocate("a") == "127.32.0.3"


def test_a_range_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        addresses.Addresses("127.0.0.0/31")

"""Addresses and ports of Services: each is given once, wherever in the range it begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.apiserver.allocators import ClusterIPs, NodePorts

RANGE = "10.9.0.0/29"
ADDRESSES = {f"10.9.0.{number}" for number in range(1, 7)}
ANY = ""
STEPS = st.tuples(st.booleans(), st.sampled_from([ANY, "10.9.0.0", "10.9.0.7", *sorted(ADDRESSES)]))


@given(st.lists(STEPS, max_size=40))
def test_an_address_is_given_while_it_is_free(steps: list[tuple[bool, str]]) -> None:
    made, free = ClusterIPs(RANGE), set(ADDRESSES)
    for is_release, wanted in steps:
        if is_release:
            made.release(wanted)
            free |= {wanted} & ADDRESSES
        elif wanted in free or (wanted == ANY and free):
            given_one = made.allocate(wanted)
            assert given_one in ({wanted} if wanted else free)
            free.remove(given_one)
        else:
            with pytest.raises(
                ValueError, match=r"no address is left|already allocated|not in the valid"
            ):
                made.allocate(wanted)


@pytest.mark.parametrize("service_range", ["10.9.0.0/31", "10.9.0.0/32"])
def test_a_range_without_an_address_has_none_left(service_range: str) -> None:
    with pytest.raises(ValueError, match="no address is left in the service range"):
        ClusterIPs(service_range).allocate()


def test_all_node_ports_can_be_had() -> None:
    made = NodePorts()
    assert {int(made.allocate()) for _ in range(2768)} == set(range(30000, 32768))
    with pytest.raises(ValueError, match="no node port is left"):
        made.allocate()
    made.release("31000")
    assert made.allocate() == "31000"

"""What `wherry status` finds wrong."""

import pytest

from wherry.cli.verbs import status


@pytest.mark.parametrize(("free", "said"), [(99 * 2**20, "has 99 MiB left"), (2**30, "")])
def test_a_disk_that_is_nearly_full_is_told(free: int, said: str) -> None:
    assert said in "".join(status.scarce_room(free))
    assert bool(said) == bool([*status.scarce_room(free)])

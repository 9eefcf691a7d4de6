"""What `wherry status` finds wrong."""

import pytest

from wherry.cli.verbs import status


@pytest.mark.parametrize(("free", "said"), [(99 * 2**20, "has 99 MiB left"), (2**30, "")])
def test_a_disk_that_is_nearly_full_is_told(free: int, said: str) -> None:
    assert said in "".join(status.scarce_room(free))
    assert bool(said) == bool([*status.scarce_room(free)])


def test_warmed_processes_and_what_they_do_without_are_told() -> None:
    one = {
        "pid": 7,
        "memoryBytes": 3 * 2**20,
        "started": 5,
        "wentCold": 1,
        "leftOut": {"m": "it reads HOME"},
    }
    gone = {**one, "pid": None, "started": 2, "wentCold": 0, "leftOut": {}}
    assert [*status.warm_lines([one, gone])] == [
        "  warm: 1 kept, 3 MiB; 6 programs started from them",
        "  not imported beforehand: m, as it reads HOME",
    ]
    assert [*status.warm_lines([])] == []

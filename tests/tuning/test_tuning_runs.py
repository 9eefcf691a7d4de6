"""Which changes of a pod its trial looks at."""

from typing import Any

import pytest

from wherry.tuning import holding
from wherry.tuning.controller import runs

POD: dict[str, Any] = {
    "metadata": {"name": "p", "uid": "u", "resourceVersion": "1", "finalizers": ["others"]},
    "spec": {},
    "status": {"phase": "Pending"},
}


def changed(**parts: Any) -> dict[str, Any]:
    return {**POD, **{name: {**POD[name], **part} for name, part in parts.items()}}


@pytest.mark.parametrize(
    ("after", "matters"),
    [
        (changed(metadata={"resourceVersion": "2"}), False),
        (changed(spec={"nodeName": "n"}), False),
        (changed(metadata={"finalizers": []}), False),
        (changed(status={"conditions": [{"type": "PodScheduled", "status": "True"}]}), False),
        (changed(metadata={"finalizers": [holding.FINALIZER]}), True),
        (changed(metadata={"labels": {"a": "b"}}), True),
        (changed(metadata={"uid": "another"}), True),
        (changed(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), True),
        (changed(status={"phase": "Running"}), True),
        (changed(status={"containerStatuses": [{"name": "main"}]}), True),
        (changed(status={"conditions": [{"reason": "Unschedulable"}]}), True),
    ],
)
def test_a_trial_is_looked_at_again_only_for_what_it_sees(after: Any, matters: bool) -> None:
    assert runs.pod_matters(POD, after) is matters

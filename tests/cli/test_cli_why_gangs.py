"""What `wherry why` says of gangs and of those who wait with them."""

from collections.abc import Callable
from typing import Any

import pytest

from wherry.builtin.gangs import kinds as gang_kinds
from wherry.objects import kinds
from wherry.objects.requests import Object

Explain = Callable[..., Any]
FORMS = (gang_kinds.POD_GROUPS, gang_kinds.VOLCANO_POD_GROUPS)
KNOWN = {"known": FORMS}
NODE: Object = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n1", "uid": "n1"},
    "status": {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"cpu": "2"}},
}
GROUP: Object = {
    "apiVersion": gang_kinds.POD_GROUPS.api_version,
    "kind": "PodGroup",
    "metadata": {"name": "g", "namespace": "default", "uid": "g"},
    "spec": {"minMember": 2},
}
NAMESPACE: Object = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "default", "uid": "default"},
}


def member(name: str, message: str = "", **spec: Any) -> Object:
    told = {"type": "PodScheduled", "status": "False", "message": f"pod group default/g: {message}"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": name,
            "labels": {"scheduling.x-k8s.io/pod-group": "g"},
        },
        "spec": {"containers": [{"name": "main", "image": "x"}], **spec},
        "status": {"phase": "Pending", "conditions": [told] if message else []},
    }


@pytest.mark.parametrize(
    ("message", "mend"),
    [
        ("waiting for 1 more of 2 members", "create the missing pods"),
        ("needs 4 cpu in all, 2 are free", "lower the pods' requests"),
        ("queue q may have 2 cpu and has 2", "spec.capability"),
        ("Queue 'q' (scheduling.volcano.sh) not found", "create the Queue"),
    ],
)
async def test_a_member_leads_to_its_group(explain: Explain, message: str, mend: str) -> None:
    things = [member("g-0", message), GROUP, NODE, NAMESPACE]
    found = (await explain(kinds.PODS, "g-0", *things, **KNOWN)).finding
    assert (found.statement, found.state) == ("waits with its pod group", "waiting")
    (cause,) = found.causes
    assert (cause.object, cause.evidence) == ("podgroup/g", (message,))
    assert mend in cause.mend
    report = await explain(gang_kinds.POD_GROUPS, "g", *things, **KNOWN)
    assert report.finding == cause


async def test_a_group_without_pods_or_that_is_not_there(explain: Explain) -> None:
    found = (await explain(gang_kinds.POD_GROUPS, "g", GROUP, NAMESPACE, **KNOWN)).finding
    assert found.evidence == ("waiting for 2 more of 2 members",)
    lost = member("g-0", "x")
    lost["status"]["conditions"][0]["message"] = (
        "pod group default/g (scheduling.x-k8s.io) not found"
    )
    found = (await explain(kinds.PODS, "g-0", lost, NODE, NAMESPACE, **KNOWN)).finding
    assert found.causes[0].statement == "does not exist in namespace default"
    assert "create the PodGroup (scheduling.x-k8s.io/v1alpha1)" in found.causes[0].mend


async def test_a_group_that_runs_is_fine(explain: Explain) -> None:
    members = []
    for number in range(2):
        pod = member(f"g-{number}", nodeName="n1")
        ready = [{"type": "Ready", "status": "True"}]
        state = {"name": "main", "ready": True, "started": True, "state": {"running": {}}}
        pod["status"] = {"phase": "Running", "conditions": ready, "containerStatuses": [state]}
        members.append(pod)
    things = (*members, GROUP, NODE, NAMESPACE)
    found = (await explain(gang_kinds.POD_GROUPS, "g", *things, **KNOWN)).finding
    assert not found.holds_back
    assert found.statement == "2 of its 2 needed members run or have ended"


async def test_a_scheduler_that_nobody_runs(explain: Explain) -> None:
    pod = member("p", schedulerName="nobody")
    pod["metadata"]["labels"] = {}
    found = (await explain(kinds.PODS, "p", pod, NODE, NAMESPACE, **KNOWN)).finding
    assert found.statement == "waits for a scheduler called nobody"
    assert "volcano" in found.evidence[0]

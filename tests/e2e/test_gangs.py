"""Gangs of real pods: two that the machine holds one at a time run whole, one after the other."""

from typing import Any

from wherry.builtin import placement
from wherry.builtin.gangs import kinds as gang_kinds
from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

NAMES = ("red", "blue")
LABEL = "scheduling.x-k8s.io/pod-group"


def test_two_gangs_that_do_not_fit_together(platform, tmp_path):
    client = platform.client
    (node,) = platform.call(client.list(kinds.NODES)).items
    # Two thirds of the memory for each gang: one leaves room for one pod of the other.
    share = placement.capacity_of(node, 1.0)["memory"] * 2 // 9
    container: dict[str, Any] = {"resources": {"requests": {"memory": str(share)}}}
    for name in NAMES:
        group: dict[str, Any] = {
            "apiVersion": gang_kinds.POD_GROUPS.api_version,
            "kind": "PodGroup",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"minMember": 3},
        }
        platform.call(client.create(gang_kinds.POD_GROUPS, group))
        # Each waits until it has seen the two others: half a gang would wait for ever.
        script = (
            f"touch {tmp_path}/{name}-$HOSTNAME; "
            f"until [ $(ls {tmp_path} | grep -c ^{name}-) = 3 ]; do sleep 0.05; done; "
            f"until [ -e {tmp_path}/go ]; do sleep 0.05; done"
        )
        for number in range(3):
            pod = builders.pod(
                f"{name}-{number}",
                metadata={"labels": {LABEL: name}},
                containers=[builders.container("main", script=script, **container)],
                schedulerName="scheduler-plugins-scheduler",
            )
            platform.call(client.create(kinds.PODS, pod))

    def phases():
        found = platform.call(client.list(gang_kinds.POD_GROUPS)).items
        return sorted((each.get("status") or {}).get("phase", "") for each in found)

    eventually(lambda: phases() == ["Running", "Scheduling"], what="one runs, one waits")

    def all_are_told() -> bool:
        pods = platform.call(client.list(kinds.PODS)).items
        (placed,) = {
            one["metadata"]["labels"][LABEL] for one in pods if one["spec"].get("nodeName")
        }
        waiting = [one for one in pods if not one["spec"].get("nodeName")]
        told = [
            condition.get("message", "")
            for one in waiting
            for condition in one["status"].get("conditions", ())[:1]
        ]
        held = f"held by default/{placed}"
        return len(told) == 3 and all("memory in all" in one and held in one for one in told)

    eventually(all_are_told, what="the other gang's pods say what they wait for")
    (tmp_path / "go").touch()
    eventually(lambda: phases() == ["Finished", "Finished"], what="both have run")

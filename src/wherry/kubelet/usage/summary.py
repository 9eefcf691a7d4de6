"""What containers and node use, as the kubelet's own endpoints tell it: `/stats/summary`, `/metrics/resource`.

Source: `k8s.io/kubelet/pkg/apis/stats/v1alpha1` and the kubelet's `ResourceMetricsCollector`. Pure.
"""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from wherry.kubelet.usage.sampler import Reading, Report, Running
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.usage import Usage

_NANO = 10**9


def summary(node: str, report: Report) -> Object:
    """Return the answer of `/stats/summary`.

    Args:
        node: The Node's name.
        report: What is used.
    """
    end = metadata.format_time(report.window.end)
    machine = _amounts(end, report.machine, report.look.machine)
    pods: dict[str, Object] = {}
    totals: dict[str, tuple[Usage, Reading]] = {}
    for one, used in report.containers:
        uid, reading = metadata.uid(one.pod), report.look.containers[one.process_id]
        pod = pods.setdefault(uid, _pod(one))
        began = datetime.datetime.fromtimestamp(one.started_at, datetime.UTC)
        head = {"name": one.name, "startTime": metadata.format_time(began)}
        pod["containers"].append(head | _amounts(end, used, reading))
        before = totals.get(uid, (Usage(0.0, 0), Reading(0.0, 0)))
        totals[uid] = before[0] + used, _sum(before[1], reading)
    for uid, pod in pods.items():
        pod.update(_amounts(end, *totals[uid]))
    return {"node": {"nodeName": node, **machine}, "pods": list(pods.values())}


def _pod(one: Running) -> Object:
    place = metadata.namespaced_name(one.pod)
    reference = {"name": place.name, "namespace": place.namespace, "uid": metadata.uid(one.pod)}
    began = (one.pod.get("status") or {}).get("startTime")
    return {"podRef": reference, "startTime": began, "containers": []}


def _sum(a: Reading, b: Reading) -> Reading:
    return Reading(a.cpu_seconds + b.cpu_seconds, a.memory_bytes + b.memory_bytes)


def _amounts(time: str, used: Usage, reading: Reading) -> dict[str, Any]:
    return {
        "cpu": {
            "time": time,
            "usageNanoCores": int(used.cpu_cores * _NANO),
            "usageCoreNanoSeconds": int(reading.cpu_seconds * _NANO),
        },
        "memory": {
            "time": time,
            "usageBytes": used.memory_bytes,
            "workingSetBytes": used.memory_bytes,
        },
    }


def resource_metrics(report: Report) -> str:
    """Return the answer of `/metrics/resource`, in Prometheus' text form."""
    look = report.look
    pods: dict[tuple[str, str], Reading] = {}
    containers: list[tuple[Mapping[str, str], Running, Reading]] = []
    for one, _ in report.containers:
        place, reading = metadata.namespaced_name(one.pod), look.containers[one.process_id]
        labels = {"container": one.name, "namespace": place.namespace, "pod": place.name}
        containers.append((labels, one, reading))
        key = (place.namespace, place.name)
        pods[key] = _sum(pods.get(key, Reading(0.0, 0)), reading)
    named = [({"namespace": space, "pod": pod}, each) for (space, pod), each in pods.items()]
    cpu, memory = "cpu_usage_seconds_total", "memory_working_set_bytes"
    lines = [
        *_family(f"node_{cpu}", "counter", [({}, look.machine.cpu_seconds)]),
        *_family(f"node_{memory}", "gauge", [({}, look.machine.memory_bytes)]),
        *_family(f"container_{cpu}", "counter", [(at, r.cpu_seconds) for at, _, r in containers]),
        *_family(f"container_{memory}", "gauge", [(at, r.memory_bytes) for at, _, r in containers]),
        *_family(
            "container_start_time_seconds",
            "gauge",
            [(at, one.started_at) for at, one, _ in containers],
        ),
        *_family(f"pod_{cpu}", "counter", [(at, each.cpu_seconds) for at, each in named]),
        *_family(f"pod_{memory}", "gauge", [(at, each.memory_bytes) for at, each in named]),
        *_family("resource_scrape_error", "gauge", [({}, 0)]),
    ]
    return "".join(f"{line}\n" for line in lines)


def kubelet_metrics(node: str, report: Report) -> str:
    """Return the answer of `/metrics`: what the kubelet tells of itself."""
    running = {metadata.uid(one.pod) for one, _ in report.containers}
    count = len(report.containers)
    lines = [
        *_family("kubelet_node_name", "gauge", [({"node": node}, 1)]),
        *_family("kubelet_running_pods", "gauge", [({}, len(running))]),
        *_family("kubelet_running_containers", "gauge", [({"container_state": "running"}, count)]),
    ]
    return "".join(f"{line}\n" for line in lines)


def _family(name: str, kind: str, rows: list[tuple[Mapping[str, str], float]]) -> Iterator[str]:
    # Names of Kubernetes' objects have nothing in them that would have to be escaped.
    yield f"# TYPE {name} {kind}"
    for labels, value in rows:
        inside = ",".join(f'{key}="{text}"' for key, text in labels.items())
        yield f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"

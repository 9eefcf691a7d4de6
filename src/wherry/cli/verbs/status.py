"""`wherry status`: what runs, how much it takes, and what is wrong."""

import asyncio
import json
import shutil
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from typing import Any

from wherry.builtin import placement
from wherry.cli import failures, launchers, processes
from wherry.cli.home import Home, Running
from wherry.cli.words import counted
from wherry.client import kubeconfig
from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.kubelet.environments import kinds as environment_kinds
from wherry.kubelet.launcher.types import LauncherError, WarmState
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.requests import Object

_MIB = 2**20
_MOST = 10
_SCARCE_BYTES = 100 * _MIB
"""Less room than this is told: the next model, log or write may find none."""


def run(options: Namespace) -> int:
    """Print the state of the platform; the exit code says whether it runs."""
    home = Home.of(options.directory)
    running = home.running()
    told = asyncio.run(_state(home, running))
    if options.output == "json":
        print(json.dumps(told, indent=2))
    else:
        print("\n".join(_lines(told)))
    if running is None:
        return failures.NOT_RUNNING
    return failures.SUCCESS if told["answers"] else failures.FAILURE


async def _state(home: Home, running: Running | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "running": running is not None,
        "answers": False,
        "directory": str(home.directory),
        "launcher": await _launcher(home),
    }
    if running is None:
        return told
    told |= {
        "pid": running.pid,
        "url": running.url,
        "version": running.version,
        "uptimeSeconds": round(time.time() - running.started) if running.started else None,
        "memoryBytes": processes.resident_bytes(running.pid),
        "log": str(home.log),
    }
    try:
        told |= await _cluster(home)
    except (errors.ApiError, OSError) as error:
        told["problems"] = [f"the API does not answer: {error}"]
    told["problems"] = [*scarce_room(shutil.disk_usage(home.directory).free), *told["problems"]]
    return told


def scarce_room(free: int) -> Iterator[str]:
    """Tell of a disk that is nearly full.

    Args:
        free: Bytes that are left on it.
    """
    if free < _SCARCE_BYTES:
        yield (
            f"the disk with Wherry's files has {free // _MIB} MiB left; without room nothing can be "
            "written, and nothing deleted either: make some"
        )


async def _launcher(home: Home) -> dict[str, Any] | None:
    try:
        launcher = await launchers.connect(home.launcher)
    except LauncherError as error:
        pid = launchers.process_id(home.launcher)
        return {
            "pid": pid,
            "memoryBytes": processes.resident_bytes(pid),
            "containers": None,
            "limits": {},
            "warmed": [],
            "problem": str(error),
        }
    if launcher is None:
        return None
    try:
        states = await launcher.list()
        warmed = await launcher.list_warm()
    finally:
        await launcher.close()
    return {
        "pid": launcher.pid,
        "memoryBytes": processes.resident_bytes(launcher.pid),
        "containers": sum(state.running for state in states),
        "limits": {reason: str(why) for reason, why in launcher.features.reasons.items()},
        "warmed": [_warmed(state) for state in warmed],
    }


def _warmed(state: WarmState) -> dict[str, Any]:
    return {
        "program": state.program,
        "preload": [*state.preload],
        "pid": state.pid,
        "ready": state.ready,
        "memoryBytes": state.memory_bytes,
        "started": state.started,
        "wentCold": state.went_cold,
        "leftOut": dict(state.left_out),
        "problem": state.problem,
    }


async def _cluster(home: Home) -> dict[str, Any]:
    client = Client(HttpTransport(kubeconfig.load([home.kubeconfig])))
    try:
        nodes, pods, environments = await asyncio.gather(
            client.list(kinds.NODES),
            client.list(kinds.PODS),
            client.list(environment_kinds.ENVIRONMENTS),
        )
    finally:
        await client.close()
    phases = Counter(str((pod.get("status") or {}).get("phase") or "Pending") for pod in pods)
    return {
        "answers": True,
        "nodes": [_node(node, pods.items) for node in nodes],
        "pods": dict(sorted(phases.items())),
        "environments": len(environments),
        "problems": [
            *_unready_nodes(nodes.items),
            *_unready_pods(pods.items),
            *_failed_environments(environments.items),
        ],
    }


def _node(node: Object, pods: list[Object]) -> dict[str, Any]:
    name = metadata.name(node)
    offered = placement.capacity_of(node, 1.0)
    mine = [
        pod
        for pod in pods
        if pod["spec"].get("nodeName") == name and not placement.is_finished(pod)
    ]
    requested: Counter[str] = Counter({"pods": len(mine)})
    for pod in mine:
        requested.update(placement.requests_of(pod))
    return {
        "name": name,
        "ready": conditions.is_true(node, "Ready"),
        "allocatable": offered,
        "requested": {resource: requested[resource] for resource in offered},
    }


def _unready_nodes(nodes: list[Object]) -> Iterator[str]:
    for node in nodes:
        if not conditions.is_true(node, "Ready"):
            yield f"node/{metadata.name(node)} is not ready"


def _unready_pods(pods: list[Object]) -> Iterator[str]:
    for pod in pods:
        phase = (pod.get("status") or {}).get("phase")
        if phase == "Succeeded" or conditions.is_true(pod, "Ready") or metadata.is_deleting(pod):
            continue
        namespace, name = metadata.namespaced_name(pod)
        what = "has failed" if phase == "Failed" else f"is not ready ({_reason(pod) or phase})"
        yield f"pod/{name} {what}: wherry why pod/{name} -n {namespace}"


def _reason(pod: Object) -> str:
    status = pod.get("status") or {}
    for each in [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]:
        reason = ((each.get("state") or {}).get("waiting") or {}).get("reason")
        if reason and reason != "PodInitializing":
            return str(reason)
    scheduled = conditions.get(pod, "PodScheduled") or {}
    return str(scheduled.get("reason") or "") if scheduled.get("status") == "False" else ""


def _failed_environments(environments: list[Object]) -> Iterator[str]:
    for environment in environments:
        ready = conditions.get(environment, environment_kinds.READY) or {}
        if ready.get("status") == "False" and ready.get("reason") != "Building":
            name = metadata.name(environment)
            yield f"environment/{name}: {ready.get('reason')}: wherry why environment/{name}"


def _lines(told: dict[str, Any]) -> Iterator[str]:
    launcher = told["launcher"]
    if not told["running"]:
        yield f"Wherry is not running in {told['directory']}; `wherry up` starts it"
        if launcher and launcher["containers"]:
            left = counted(launcher["containers"], "container")
            yield f"{left} left running without it (launcher pid {launcher['pid']})"
        return
    state = f"running at {told['url']}" if told["answers"] else "running, but does not answer"
    yield f"Wherry {told['version']} is {state}"
    yield f"  pid {told['pid']}, up {_duration(told['uptimeSeconds'])}, {_mib(told['memoryBytes'])}"
    if launcher:
        number = launcher["containers"]
        told_of = launcher["problem"] if number is None else counted(number, "container")
        yield f"  launcher: pid {launcher['pid']}, {_mib(launcher['memoryBytes'])}, {told_of}"
        yield from warm_lines(launcher["warmed"])
        for limit, why in launcher["limits"].items():
            yield f"  this machine has no {limit.replace('_', ' ')}: {why}"
    for node in told.get("nodes", []):
        yield f"  node {node['name']}: {'ready' if node['ready'] else 'NOT READY'}; {_amounts(node)}"
    if "pods" in told:
        phases = ", ".join(f"{count} {phase}" for phase, count in told["pods"].items())
        yield f"  pods: {phases or 'none'}"
    yield f"  files: {told['directory']}, log: {told['log']}"
    problems = told.get("problems", [])
    for problem in problems[:_MOST]:
        yield f"  ! {problem}"
    if len(problems) > _MOST:
        yield f"  ! and {len(problems) - _MOST} more"


def warm_lines(warmed: list[dict[str, Any]]) -> Iterator[str]:
    """Tell of the processes that Python programs are forked from, and of modules that they have to do without."""
    alive = [one for one in warmed if one["pid"] is not None]
    if alive:
        memory = sum(one["memoryBytes"] for one in alive)
        programs = counted(sum(one["started"] - one["wentCold"] for one in warmed), "program")
        yield f"  warm: {len(alive)} kept, {_mib(memory)}; {programs} started from them"
    for module, why in {
        name: why for one in warmed for name, why in one["leftOut"].items()
    }.items():
        yield f"  not imported beforehand: {module}, as {why}"


def _amounts(node: dict[str, Any]) -> str:
    parts = []
    for name, offered in node["allocatable"].items():
        taken = node["requested"][name]
        if name == "cpu":
            parts.append(f"{taken / 1000:g} of {offered / 1000:g} CPUs")
        elif name == "memory":
            parts.append(f"{taken // _MIB} of {offered // _MIB} MiB memory")
        elif name == "pods" or "/" in name:
            parts.append(f"{taken} of {offered} {name}")
    return ", ".join(parts) + " requested"


def _mib(amount: int | None) -> str:
    return f"{amount / _MIB:.0f} MiB" if amount else "memory unknown"


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return "since a moment"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    told = [f"{count}{unit}" for count, unit in parts if count]
    return " ".join(told[:2]) or "0s"

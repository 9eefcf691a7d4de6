"""The tree of nodes that a workflow's status shows, in upstream's shape: UIs and clients read it. Pure.

Source: argo-workflows after 4.1.2, ``NodeStatus`` in ``pkg/apis/workflow/v1alpha1/workflow_types.go``,
``getOutboundNodes`` in ``workflow/controller/operator.go``.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wherry.metadata.records import Execution
from wherry.objects.requests import Object
from wherry.pipelines.graph.model import State
from wherry.pipelines.graph.spots import Spot
from wherry.pipelines.workflows import calls, names, node_values, progress, scopes
from wherry.pipelines.workflows.bodies import BODY, GUARD, MAIN
from wherry.pipelines.workflows.calls import Content, Kind, Role
from wherry.pipelines.workflows.controller import container_nodes, progressing
from wherry.pipelines.workflows.controller.engine import (
    AGAIN,
    ATTEMPTS,
    DAEMON,
    HOST,
    IP,
    MEMO,
    ORIGINAL,
    PROGRESS,
    SUPPLIED,
    WAITS,
    WorkflowEngine,
    is_lost,
    time_of,
)
from wherry.pipelines.workflows.progress import Progress
from wherry.pipelines.workflows.sums import LOST

_GROUP: Final = re.compile(r"^\[\d+\]\.")
_HIDDEN: Final = frozenset({State.PENDING, State.CANCELED})


@dataclass(frozen=True, slots=True)
class Around:
    """The steps or the DAG around a node.

    Attributes:
        id: Its id; empty: there is none.
        name: Its name, or the workflow's.
    """

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Ends:
    """What others are joined to, where a part of the tree begins and ends.

    Attributes:
        heads: Ids of the nodes that come first.
        outs: Ids of those that come last.
        done: How many of its steps have ended well.
        total: How many of its steps there are.
        seconds: For how long pods ran.
    """

    heads: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    done: int = 0
    total: int = 0
    seconds: int = 0

    @property
    def progress(self) -> str:
        """As statuses show it."""
        return f"{self.done}/{self.total}"


def joined(parts: Sequence[Ends]) -> Ends:
    """Return several parts of a tree as one."""
    return Ends(
        tuple(each for part in parts for each in part.heads),
        tuple(each for part in parts for each in part.outs),
        sum(part.done for part in parts),
        sum(part.total for part in parts),
        sum(part.seconds for part in parts),
    )


def of(engine: WorkflowEngine, pods: Mapping[str, Object]) -> tuple[dict[str, Object], Ends]:
    """Return all nodes by id, and how far they are as a whole.

    Args:
        engine: What is known of the workflow.
        pods: Those of steps that run.
    """
    tree = _Tree(engine, pods)
    root = engine.walk.root
    if root.inside is None:
        return {}, Ends()
    parts = [tree.add(spot, Around("", engine.name)) for spot in root.inside.spots.values()]
    if engine.estimates.nodes:
        _estimate(tree.nodes.values(), engine)
    return tree.nodes, joined(parts)


def _estimate(nodes: Iterable[Object], engine: WorkflowEngine) -> None:
    """Add how long nodes may take."""
    for node in nodes:
        seconds = engine.estimates.nodes.get(node["name"].removeprefix(engine.name))
        if seconds:
            node["estimatedDuration"] = seconds


class _Tree:
    def __init__(self, engine: WorkflowEngine, pods: Mapping[str, Object]) -> None:
        self.nodes: dict[str, Object] = {}
        self._engine = engine
        self._language = engine.language
        self._repository = engine.repository
        self._pods = pods

    def add(self, spot: Spot, around: Around) -> Ends:
        """Add a node and all that is in it.

        Args:
            spot: The node.
            around: The steps or the DAG around.
        """
        if self._is_hidden(spot):
            return Ends()
        if spot.turns is not None and not spot.retried:
            return self._loop(spot, around)
        if spot.inside is not None and calls.kind(spot.inside) is Kind.WRAP:
            return self._wrapped(spot, around)
        if spot.retried:
            return self._retried(spot, around)
        if spot.inside is not None:
            return self._graph(spot, around)
        return self._leaf(spot, around)

    def _is_hidden(self, spot: Spot) -> bool:
        if spot.state in _HIDDEN and not (spot.state is State.CANCELED and spot.inside):
            return True
        called = calls.call(spot)
        in_dag = spot.place is not None and calls.kind(spot.place) is Kind.DAG
        return spot.state is State.OMITTED and (
            not in_dag or called is None or called.role is not Role.STEP
        )

    # Kinds of nodes.

    def _loop(self, spot: Spot, around: Around) -> Ends:
        inner = joined([self.add(turn, around) for turn in spot.turns or ()])
        in_dag = spot.place is not None and calls.kind(spot.place) is Kind.DAG
        if spot.turns and not in_dag:
            return inner
        kind = "TaskGroup" if spot.turns else "Skipped"
        node = self._node(spot, kind, around, inner)
        node["children"] = [*inner.heads]
        return Ends(
            (node["id"],), inner.outs or (node["id"],), inner.done, inner.total, inner.seconds
        )

    def _wrapped(self, spot: Spot, around: Around) -> Ends:
        assert spot.inside is not None, f"{spot.path} has nothing in it"
        spots = spot.inside.spots
        main = spots.get(MAIN) or spots[BODY]
        guard = spots.get(GUARD)
        if guard is not None and main.state in {State.PENDING, State.OMITTED}:
            return self._guarded(spot, guard, around)
        ends = self.add(main, around)
        hooks = [
            self.add(each, around)
            for name, each in spots.items()
            if name not in {MAIN, BODY, GUARD}
        ]
        for head in ends.heads[:1]:
            self._join((head,), joined(hooks).heads)
        whole = joined([ends, *hooks])
        return Ends(ends.heads, ends.outs, whole.done, whole.total, whole.seconds)

    def _guarded(self, spot: Spot, guard: Spot, around: Around) -> Ends:
        """Add a graph that waits for its locks, or whose result was kept."""
        node = self._node(spot, self._type(calls.content(guard)), around, Ends())
        row = self._engine.rows.get(guard.path)
        if not guard.state.final:
            node["phase"] = "Pending"
            node["message"] = str(row.properties.get(WAITS) or "") if row else ""
        node.update(_noted(row))
        return Ends((node["id"],), (node["id"],))

    def _retried(self, spot: Spot, around: Around) -> Ends:
        parts = [self.add(turn, around) for turn in spot.turns or ()]
        inner = joined(parts)
        node = self._node(spot, "Retry", around, inner)
        node["children"] = [*inner.heads]
        for head in inner.heads:
            self.nodes[head]["nodeFlag"] = {"retried": True}
        outs = parts[-1].outs if parts else (node["id"],)
        return Ends((node["id"],), outs, inner.done, inner.total, inner.seconds)

    def _graph(self, spot: Spot, around: Around) -> Ends:
        assert spot.inside is not None, f"{spot.path} has nothing in it"
        kind = calls.kind(spot.inside)
        if kind is Kind.GROUP:
            return self._group(spot, around)
        name = self._language.node_name(spot)
        own = names.node_id(self._engine.name, name)
        inside = Around(own, name)
        node = self._node(spot, "Steps" if kind is Kind.STEPS else "DAG", around, Ends())
        heads, outs, parts = (
            self._steps(spot, inside) if kind is Kind.STEPS else self._tasks(spot, inside)
        )
        inner = joined(parts)
        node["children"], node["outboundNodes"] = [*heads], [*outs]
        self._measure(node, inner)
        return Ends((own,), outs or (own,), inner.done, inner.total, inner.seconds)

    def _steps(
        self, spot: Spot, around: Around
    ) -> tuple[tuple[str, ...], tuple[str, ...], list[Ends]]:
        parts: list[Ends] = []
        before: tuple[str, ...] = ()
        heads: tuple[str, ...] = ()
        for group in (spot.inside.spots if spot.inside else {}).values():
            ends = self.add(group, around)
            if not ends.heads:
                continue
            self._join(before, ends.heads)
            heads, before = heads or ends.heads, ends.outs
            parts.append(ends)
        return heads, before, parts

    def _group(self, spot: Spot, around: Around) -> Ends:
        node = self._node(spot, "StepGroup", around, Ends())
        spots = spot.inside.spots if spot.inside is not None else {}
        inner = joined([self.add(each, around) for each in spots.values()])
        node["children"] = [*inner.heads]
        self._measure(node, inner)
        own = (node["id"],)
        return Ends(own, inner.outs or own, inner.done, inner.total, inner.seconds)

    def _tasks(
        self, spot: Spot, around: Around
    ) -> tuple[tuple[str, ...], tuple[str, ...], list[Ends]]:
        inside = spot.inside
        assert inside is not None, f"{spot.path} has nothing in it"
        found = {key: self.add(each, around) for key, each in inside.spots.items()}
        heads: list[str] = []
        needed: set[str] = set()
        for key, ends in found.items():
            needs = inside.graph.nodes[key].needs
            needed.update(needs)
            if not needs:
                heads.extend(ends.heads)
            for need in needs:
                self._join(found[need].outs, ends.heads)
        outs = tuple(each for key, ends in found.items() if key not in needed for each in ends.outs)
        return tuple(heads), outs, [*found.values()]

    def _leaf(self, spot: Spot, around: Around) -> Ends:
        row = self._engine.rows.get(spot.path)
        known = calls.content(spot)
        never = row is None or not row.started
        if never:
            kind = self._type(known) if spot.state is State.RUNNING else "Skipped"
            node = self._node(spot, kind, around, Ends())
            return Ends((node["id"],), (node["id"],))
        assert row is not None, f"{spot.path} has no row"
        if not self._language.is_retried(spot):
            ends = self._ends(row)
            node = self._node(spot, self._type(known), around, ends)
            self._as_step(node, row)
            ends = self._containers(spot, node, row, ends)
            return Ends((node["id"],), (node["id"],), ends.done, ends.total, ends.seconds)
        return self._attempts(spot, row, around)

    def _attempts(self, spot: Spot, row: Execution, around: Around) -> Ends:
        """Add a step that is tried again: a node for it, and one for each attempt."""
        before: list[Object] = list(row.properties.get(ATTEMPTS) or ())
        own, past = self._ends(row), [_progress(each.get(PROGRESS)) for each in before]
        ends = dataclasses.replace(
            own,
            done=own.done + sum(each.done for each in past),
            total=own.total + sum(each.total for each in past),
        )
        whole = self._node(spot, "Retry", around, ends)
        whole["children"] = []
        known = calls.content(spot)
        name = self._language.node_name(spot)
        first = row.attempt - len(before)
        for number, each in enumerate(before, first):
            one = self._attempt(spot, names.attempt(name, number), around)
            one.update(_past(each))
            whole["children"].append(one["id"])
        last = self._attempt(spot, names.attempt(name, row.attempt), around)
        last["type"] = self._type(known)
        self._measure(last, own)
        last["startedAt"] = time_of(row.started)
        whole["startedAt"] = time_of(int(before[0]["started"]) if before else row.started)
        if row.ended:
            last["finishedAt"] = time_of(row.ended)
            last["phase"] = scopes.phase(State(row.state))
        self._as_step(last, row)
        last["message"] = row.error or last.get("message")
        if row.properties.get(DAEMON):
            self._as_daemon(whole, row)
        whole["children"].append(last["id"])
        ends = self._containers(spot, last, row, ends)
        node_values.trim(last)
        return Ends((whole["id"],), (last["id"],), ends.done, ends.total, ends.seconds)

    def _attempt(self, spot: Spot, name: str, around: Around) -> Object:
        node = self._base(spot, name, self._type(calls.content(spot)), around)
        node["nodeFlag"] = {"retried": True}
        node["phase"] = scopes.phase(spot.state)
        node["outputs"] = self._outputs(spot)
        node_values.trim(node)
        self.nodes[node["id"]] = node
        return node

    # Their parts.

    def _ends(self, row: Execution) -> Ends:
        """Return how far a step is, and for how long its pod ran."""
        seconds = (row.ended - row.started) // 1000 if row.ended and row.pod else 0
        pod, told = self._pods.get(row.pod), progress.read(row.properties.get(PROGRESS))
        told = told or self._engine.progress.get(row.pod) or progressing.annotated(pod)
        done, total = told or progress.BEGUN
        goes_on = row.path in self._engine.daemons and (is_lost(row) or self._engine.holds(row))
        if row.ended and not State(row.state).bad and not goes_on:
            done = total
        return Ends((), (), done, total, max(0, seconds))

    def _outputs(self, spot: Spot) -> Object:
        return node_values.outputs(spot.outputs, calls.content(spot), self._repository)

    def _as_step(self, node: Object, row: Execution) -> None:
        pod = self._pods.get(row.pod)
        if not State(row.state).final and row.properties.get(WAITS):
            node["phase"], node["message"] = "Pending", str(row.properties[WAITS])
        elif not State(row.state).final and node["type"] == "Pod":
            phase = (pod.get("status") or {}).get("phase") if pod else ""
            node["phase"] = "Running" if phase == "Running" else "Pending"
            trouble = self._engine.troubles.get(row.path)
            if trouble:
                node["message"] = trouble
        if row.properties.get(ORIGINAL):
            node["message"] = f"original pod: {row.properties[ORIGINAL]}"
        if row.properties.get(IP):
            node["podIP"] = row.properties[IP]
        if row.properties.get(HOST):
            node["hostNodeName"] = row.properties[HOST]
        if row.properties.get(DAEMON):
            self._as_daemon(node, row)
            if AGAIN in row.properties and "daemoned" in node:
                del node["daemoned"]
                ready = pod is not None and (pod.get("status") or {}).get("phase") == "Running"
                node["phase"] = "Running" if ready else "Pending"
        if node["type"] == "Suspend" and not State(row.state).final:
            self._awaited(node, row)
        node.update(_noted(row))

    def _as_daemon(self, node: Object, row: Execution) -> None:
        """Say that a step goes on that counts as ended, or what has become of it before its time."""
        if is_lost(row):
            node["phase"] = scopes.phase(State(row.outputs.parameters[LOST]))
        elif self._engine.holds(row):
            node["daemoned"], node["phase"] = True, "Running"
            node.pop("finishedAt", None)

    def _containers(self, spot: Spot, node: Object, row: Execution, ends: Ends) -> Ends:
        """Add the nodes of the containers of a set; return the ends with them."""
        known = calls.content(spot)
        if known is None or known.template is None or known.template.container_set is None:
            return ends
        kept = row.properties.get(container_nodes.CONTAINERS) or {}
        pod = self._pods.get(row.pod)
        made = container_nodes.of(self._engine.name, node, known.template, pod=pod, kept=kept)
        self.nodes.update((each["id"], each) for each in made)
        done = sum(each["phase"] == "Succeeded" for each in made)
        return dataclasses.replace(ends, done=ends.done + done, total=ends.total + len(made))

    def _awaited(self, node: Object, row: Execution) -> None:
        """Add what a step that waits is to give: clients look there for what can be supplied."""
        known = calls.content(self._engine.spot(row.path))
        written = (known.template.json.get("outputs") or {}) if known and known.template else {}
        given = row.properties.get(SUPPLIED) or {}
        parameters = [
            {"name": each["name"], "value": given[each["name"]]} if each["name"] in given else each
            for each in written.get("parameters") or ()
        ]
        if parameters:
            node["outputs"] = {"parameters": parameters}

    def _node(self, spot: Spot, kind: str, around: Around, ends: Ends) -> Object:
        name = self._language.node_name(spot)
        node = self._base(spot, name, kind, around)
        row = self._engine.rows.get(spot.path)
        node["phase"] = scopes.phase(spot.state)
        node["message"] = spot.error
        if row is not None:
            node["startedAt"] = time_of(row.started or row.created)
            if row.ended and spot.state.final:
                node["finishedAt"] = time_of(row.ended)
        node["inputs"] = node_values.inputs(spot, calls.content(spot), self._repository)
        node["outputs"] = self._outputs(spot)
        called = calls.call(spot)
        if called is not None and called.role in {Role.HOOK, Role.EXIT}:
            node["nodeFlag"] = {"hooked": True}
        if ends.total:
            self._measure(node, ends)
        node_values.trim(node)
        self.nodes[node["id"]] = node
        return node

    def _base(self, spot: Spot, name: str, kind: str, around: Around) -> Object:
        node: Object = {
            "id": names.node_id(self._engine.name, name),
            "name": name,
            "displayName": _display(name, around.name) if around.id else name,
            "type": kind,
            "templateScope": self._scope(spot),
            "boundaryID": around.id,
        }
        called, content = calls.call(spot), calls.content(spot)
        if content is not None and content.template is not None and content.template.metrics:
            self._engine.measured[node["id"]] = content.template
        if called is not None and called.step.template_ref is not None:
            ref = called.step.template_ref
            told: Object = {"name": ref.name, "template": ref.template}
            node["templateRef"] = {**told, "clusterScope": True} if ref.cluster_scope else told
        elif called is not None and called.step.inline is None:
            template = content.template if content else None
            node["templateName"] = template.name if template else called.step.template
        return node

    def _scope(self, spot: Spot) -> str:
        called = calls.call(spot)
        if called is not None and called.where.name:
            return called.where.scope
        return f"local/{self._engine.name}"

    def _type(self, known: Content | None) -> str:
        template = known.template if known is not None else None
        if template is None:
            return "Skipped"
        for given, kind in (
            (template.suspend, "Suspend"),
            (template.steps, "Steps"),
            (template.dag, "DAG"),
            (template.http, "HTTP"),
            (template.plugin, "Plugin"),
        ):
            if given is not None:
                return kind
        return "Pod"

    def _measure(self, node: Object, ends: Ends) -> None:
        node["progress"] = ends.progress
        if ends.seconds:
            node["resourcesDuration"] = duration(ends.seconds)

    def _join(self, parents: Sequence[str], children: Sequence[str]) -> None:
        for parent in parents:
            found = self.nodes[parent].setdefault("children", [])
            found.extend(each for each in children if each not in found)


def duration(seconds: int) -> Object:
    """Return what pods that asked for nothing have used in so many seconds, as upstream estimates it."""
    return {"cpu": seconds // 10, "memory": seconds}


def _progress(told: object) -> Progress:
    return progress.read(told) or progress.BEGUN


def _noted(row: Execution | None) -> Object:
    memo = row.properties.get(MEMO) if row is not None else None
    return {"memoizationStatus": memo} if memo else {}


def _past(attempt: Object) -> Object:
    made: Object = {
        "phase": attempt.get("status"),
        "message": attempt.get("message"),
        "startedAt": time_of(int(attempt["started"])),
        "finishedAt": time_of(int(attempt["ended"])),
        "outputs": {"exitCode": attempt["exitCode"]} if attempt.get("exitCode") else {},
        "progress": str(_progress(attempt.get(PROGRESS))),
        "podIP": attempt.get(IP),
        "hostNodeName": attempt.get(HOST),
    }
    return {key: value for key, value in made.items() if value}


def _display(name: str, around: str) -> str:
    rest = name.removeprefix(around)
    if rest == name:
        return name
    return _GROUP.sub("", rest).removeprefix(".")

"""A Workflow as far as it has come: its walk, its rows, its names. No I/O."""

import dataclasses
import datetime
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from wherry.metadata import records
from wherry.metadata.records import Execution, Values
from wherry.objects.requests import Object
from wherry.pipelines.controller.engine import Engine
from wherry.pipelines.graph.model import Start, State
from wherry.pipelines.graph.spots import Spot
from wherry.pipelines.graph.walk import Walk
from wherry.pipelines.workflows import calls, names, scopes, variables
from wherry.pipelines.workflows.artifacts.order import Order
from wherry.pipelines.workflows.artifacts.repository import Repository
from wherry.pipelines.workflows.calls import Role
from wherry.pipelines.workflows.controller.estimating import Estimates
from wherry.pipelines.workflows.language import WorkflowLanguage
from wherry.pipelines.workflows.messages import Shutdown, Template
from wherry.pipelines.workflows.progress import Progress
from wherry.pipelines.workflows.scopes import EXIT_CODE
from wherry.pipelines.workflows.sums import LOST

ATTEMPTS: Final = "attempts"
"""Property of a row: what is kept of the attempts before the latest."""
NODE: Final = "node"
"""Property of a row: id of its node."""
ORIGINAL: Final = "original"
"""Property of a row: id of the node of another workflow whose outputs it has taken over."""
EXPORTS: Final = "exports"
"""Property of a row: what the node has given to the whole workflow."""
EXPORTED: Final = frozenset({EXPORTS, f"{EXPORTS}Artifacts"})
LOCKS: Final = "locks"
"""Property of a row: the locks that it holds."""
WAITS: Final = "waits"
"""Property of a row: what it waits for."""
DAEMON: Final = "daemon"
"""Property of a row: its pod goes on until what it is part of has ended."""
AGAIN: Final = "again"
"""Property of the row of a daemon that has failed and is tried again: when its next pod is made, in milliseconds.
It stays until that is ready."""
UNTIL: Final = "until"
"""Property of the row of a step that only waits: until when, in milliseconds; 0: until it is told."""
SUPPLIED: Final = "supplied"
"""Property of the row of a step that only waits: outputs that somebody has given already."""
IP: Final = "ip"
HOST: Final = "host"
PROGRESS: Final = "progress"
"""Property of a row: how far the step had come, where it has said so."""
MEMO: Final = "memo"
"""Property of a row: what is told of a kept result."""
_LATER: Final = frozenset({
    "arguments", "entrypoint", "hooks", "onExit", "synchronization", "templateDefaults", "templates",
    "volumeClaimTemplates", "workflowMetadata",
})  # fmt: skip
"""What is filled in where it is used."""
_MOST_ATTEMPTS: Final = 500
_LONGEST_MESSAGE: Final = 400

Config = Callable[[str, str], str | None]


class Looker:
    """Looks up what the language asks for."""

    def __init__(self, config: Config) -> None:
        """Take what it works with.

        Args:
            config: Finds a value of a ConfigMap by name and key.
        """
        self.rows: Mapping[str, Execution] = {}
        self._config = config

    def config(self, name: str, key: str) -> str | None:
        """Return a value of a ConfigMap; None: there is none."""
        return self._config(name, key)

    def row(self, path: str) -> Execution | None:
        """Return what is stored of a node; None: it was not begun."""
        return self.rows.get(path)

    def facts(self, path: str) -> Mapping[str, Any]:
        """Return what is known of a step besides its outputs."""
        row = self.rows.get(path)
        if row is None:
            return {}
        made: dict[str, Any] = {ATTEMPTS: _attempts(row), "pod": row.pod}
        if row.properties.get(IP):
            made["ip"] = row.properties[IP]
        if row.properties.get(HOST):
            made["hostNodeName"] = row.properties[HOST]
        if row.started or row.created:
            made["startedAt"] = time_of(row.started or row.created)
        if row.ended:
            made["finishedAt"] = time_of(row.ended)
            made["duration"] = (row.ended - (row.started or row.created)) / 1000
        return made


class WorkflowEngine(Engine):
    """One Workflow.

    Attributes:
        language: What its templates decide.
        spec: What it runs, as JSON: with what it refers to.
        repository: Where its artifacts go.
        claims: Claims made for it, by the names of the volumes.
        shutdown: How it is being ended; None: it is not, or its time is up.
        waits: Why it does not begin; empty: it does.
        earlier: Steps of another run, by path, whose results are taken where they would begin.
        daemons: Rows of steps that count as ended while their pods go on, by path.
        progress: How far steps that run say that they are, by the names of their pods.
        asks_at: When they are asked again, by the monotonic clock; None: none of them says it.
        estimates: How long it and its nodes may take.
        phases: What its nodes were told to be, by id, to those who follow its events.
        events: How many events of nodes there were, by their type.
        remade: Paths of those whose next pod was made and is not ready.
        measured: Templates that want to be measured, by the ids of their nodes.
    """

    def __init__(
        self, uid: str, language: WorkflowLanguage, walk: Walk, repository: Repository
    ) -> None:
        super().__init__(uid, language.name, walk)
        self.language = language
        self.spec: Object = _filled(language)
        self.repository = repository
        self.claims: Mapping[str, str] = {}
        self.shutdown: Shutdown | None = None
        self.waits = ""
        self.earlier: Mapping[str, Execution] = {}
        self.daemons: dict[str, Execution] = {}
        self.progress: dict[str, Progress] = {}
        self.asks_at: float | None = None
        self.estimates = Estimates()
        self.phases: dict[str, str] = {}
        self.events: Counter[str] = Counter()
        self.remade: set[str] = set()
        self.measured: dict[str, Template] = {}
        self._asked: dict[int, tuple[Template, bool]] = {}
        self._guards: set[str] = set()

    def take(self, row: Execution) -> None:
        """Take in a row that is stored."""
        for key, value in (row.properties.get(EXPORTS) or {}).items():
            self.language.exported[key] = value
        for key, name in (row.properties.get(f"{EXPORTS}Artifacts") or {}).items():
            if name in row.outputs.artifacts:
                self.language.exported[key] = row.outputs.artifacts[name][0]
        if row.name == Role.GUARD.name and row.properties.get(MEMO):
            self._guards.add(row.path)
        if row.properties.get(DAEMON):
            self.daemons[row.path] = row
        else:
            self.daemons.pop(row.path, None)
        self.remade.discard(row.path)
        if row.state != State.RUNNING:
            self.progress.pop(row.pod, None)
        super().take(row)

    def end(self, why: str, shutdown: Shutdown | None) -> None:
        """Begin nothing more but exit handlers, or not even these. Idempotent.

        Args:
            why: For people.
            shutdown: How; None: as Stop, for its time is up.
        """
        if self.cancelled and self.shutdown is shutdown:
            return
        self.cancelled, self.shutdown = why, shutdown
        self.cancelled_as = State.FAILED
        self.walk.cancel(State.FAILED, why, exits=shutdown is not Shutdown.TERMINATE)

    def is_ended(self, row: Execution) -> bool:
        """Tell whether a step that runs is to be ended."""
        if not self.cancelled:
            return False
        spot = self.walk.spot(row.path)
        spared = self.shutdown is not Shutdown.TERMINATE and spot is not None and spot.exiting
        return not spared

    def holds(self, row: Execution) -> bool:
        """Tell whether something is still to be learnt of the pod of a row."""
        if super().holds(row):
            return True
        return row.path in self.daemons and not is_lost(row) and not self.is_over(row.path)

    def is_over(self, path: str) -> bool:
        """Tell whether the steps or the DAG around a step have ended, and its daemons with them."""
        place = calls.boundary(self.spot(path).place)
        return (self.walk.root if place is None else place.spot).state.final

    def begun(
        self,
        start: Start,
        namespace: str,
        now: datetime.datetime,
        type_: str = records.CONTAINER_EXECUTION,
    ) -> Execution:
        """Return the row of an attempt that begins; of those before it the main points are kept."""
        old = self.rows.get(start.path)
        made = super().begun(start, namespace, now, type_)
        node = names.node_id(self.name, self.language.node_name(self.spot(start.path)))
        made = dataclasses.replace(made, properties={**made.properties, NODE: node})
        if old is None or not old.started or not start.number:
            return made
        properties = {**made.properties, ATTEMPTS: _attempts(old)[-_MOST_ATTEMPTS:]}
        return dataclasses.replace(made, properties=properties)

    def to_keep(self) -> Iterator[tuple[Execution, Values]]:
        """Yield what graphs have given that are to be kept for the next one that asks, each once."""
        for path in [*self._guards]:
            around = self.spot(path.rpartition("/")[0])
            if around.state.final and path in self._guards:
                self._guards.remove(path)
                if around.state is State.SUCCEEDED:
                    yield self.rows[path], around.outputs

    def spot(self, path: str) -> Spot:
        """Return a node that the walk has come to."""
        found = self.walk.spot(path)
        assert found is not None, f"{path} is no node"
        return found

    def role(self, path: str) -> Role:
        """Return what a step is there for."""
        called = calls.call(self.spot(path))
        return called.role if called is not None else Role.STEP

    def node_name(self, spot: Spot, number: int) -> str:
        """Return the name of one attempt of a step."""
        name = self.language.node_name(spot)
        return names.attempt(name, number) if self.language.is_retried(spot) else name

    def pod_name(self, spot: Spot, number: int) -> str:
        """Return the name of the pod of an attempt."""
        known, called = calls.content(spot), calls.call(spot)
        inline = called is not None and called.step.inline is not None
        template = known.template.name if known and known.template and not inline else ""
        again = number if number and not self.language.is_retried(spot) else 0
        return names.pod(self.name, self.node_name(spot, number), template, attempt=again)

    def order(self, workflow: Object, path: str, number: int, left: float | None) -> Order:
        """Return an attempt of a step, to be made or harvested.

        Args:
            workflow: Its object.
            path: Of the step.
            number: Of the attempt.
            left: How long the workflow may still take, in seconds; None: as long as it likes.

        Raises:
            NodeError: its template cannot be filled in.
        """
        spot = self.spot(path)
        name, pod = self.node_name(spot, number), self.pod_name(spot, number)
        written = self.language.filled(spot, number, pod)
        scope = self.language.own_scope(spot, number).over({"pod.name": pod})
        key = variables.fill(self.repository.key_format, scope, strict=False)
        return Order(
            workflow=workflow,
            spec=self.spec,
            template=written,
            name=name,
            id=names.node_id(self.name, name),
            pod=pod,
            path=path,
            attempt=number,
            pipeline=self.name,
            inputs=spot.inputs,
            repository=self.repository,
            key=key,
            claims=self.claims,
            # Exit handlers run after the time is up, too.
            deadline=None if left is None or spot.exiting else max(1, int(left)),
            on_exit=spot.exiting,
            wants_result=self.wants_result(spot),
        )

    def wants_result(self, spot: Spot) -> bool:
        """Tell whether anybody asks for what a step says."""
        place = calls.boundary(spot.place)
        body = calls.body(place) if place is not None else None
        if body is None or body.template is None:
            return False
        known = self._asked.get(id(body.template))
        if known is None:
            # With the template, so that no other one comes to have its id.
            asked = "outputs.result" in json.dumps(body.template.json)
            known = self._asked[id(body.template)] = (body.template, asked)
        return known[1]


def _filled(language: WorkflowLanguage) -> Object:
    """Return what a workflow runs, with the variables of the workflow in what holds for all its pods."""
    written = language.spec.json
    others = {key: value for key, value in written.items() if key not in _LATER}
    return {**written, **variables.fill(others, language.scope(), strict=False)}


def is_result(row: Execution) -> bool:
    """Tell whether a step's row says what it has given for good: it is no daemon's, and no lock's."""
    done = row.started and row.properties.get(NODE) and not row.properties.get(DAEMON)
    return bool(done) and row.name != Role.GUARD.name


def is_lost(row: Execution) -> bool:
    """Tell whether the pod of a daemon has ended too early, and is not made again."""
    return LOST in row.outputs.parameters


def _attempts(row: Execution) -> list[Object]:
    """Return the main points of all attempts of a step that have ended."""
    before: list[Object] = list(row.properties.get(ATTEMPTS) or [])
    goes_on = row.properties.get(DAEMON) and not is_lost(row)
    if not row.started or not State(row.state).final or goes_on:
        return before
    last: Object = {
        "pod": row.pod,
        "status": scopes.phase(State(row.state)),
        "message": row.error[:_LONGEST_MESSAGE],
        "duration": str((row.ended - row.started) // 1000),
        "started": row.started,
        "ended": row.ended,
    }
    for key in (IP, HOST, PROGRESS):
        if row.properties.get(key):
            last[key] = row.properties[key]
    if EXIT_CODE in row.outputs.parameters:
        last["exitCode"] = str(row.outputs.parameters[EXIT_CODE])
    return [*before, last]


def time_of(at: int) -> str:
    """Return a time of a row as objects have it."""
    moment = datetime.datetime.fromtimestamp(at / 1000, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

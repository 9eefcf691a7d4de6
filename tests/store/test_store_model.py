"""The store against a dictionary, by a state machine that tries what it likes."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wherry import store
from wherry.store import Key, Store, StoreSettings

T = TypeVar("T")
Objects = dict[Key, tuple[int, Any]]

BOUNDS = StoreSettings(
    history_changes=12, compaction_rows=3, checkpoint_pages=8, spare_bytes=0, max_file_bytes=10**8
)
KEYS = st.builds(
    Key,
    st.sampled_from(["pods", "jobs.batch"]),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from(["x", "y", "z"]),
)
VALUES = st.integers(0, 3) | st.text(max_size=5) | st.booleans()


class StoreMachine(RuleBasedStateMachine):
    """Every state since the beginning is remembered, and asked for again."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())
        self.past: dict[int, Objects] = {0: {}}

    @initialize()
    def begin(self) -> None:
        self.store = self.run(self.opened())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def opened(self) -> Store:
        opened = Store.open(self.directory, settings=BOUNDS)
        await opened.start()
        return opened

    @property
    def now(self) -> Objects:
        return self.past[max(self.past)]

    def remember(self, revision: int, change: Objects, *removed: Key) -> None:
        assert revision > max(self.past)
        state = {**self.now, **change}
        for key in removed:
            del state[key]
        self.past[revision] = state

    @rule(key=KEYS, value=VALUES)
    def create(self, key: Key, value: Any) -> None:
        if key in self.now:
            with pytest.raises(store.KeyExistsError):
                self.run(self.store.create(key, {"value": value}))
        else:
            record = self.run(self.store.create(key, {"value": value}))
            self.remember(record.revision, {key: (record.revision, value)})

    @rule(key=KEYS, value=VALUES, expected=st.sampled_from(["none", "right", "wrong"]))
    def update(self, key: Key, value: Any, expected: str) -> None:
        standing = self.now.get(key)
        if standing is None:
            with pytest.raises(store.KeyMissingError):
                self.run(self.store.update(key, {"value": value}, expected=None))
            return
        revision = {"none": None, "right": standing[0], "wrong": standing[0] - 1}[expected]
        writing = self.store.update(key, {"value": value}, expected=revision)
        if expected == "wrong":
            with pytest.raises(store.RevisionConflictError):
                self.run(writing)
            return
        record = self.run(writing)
        if type(standing[1]) is type(value) and standing[1] == value:
            assert record.revision == standing[0]
        else:
            self.remember(record.revision, {key: (record.revision, value)})

    @rule(key=KEYS)
    def delete(self, key: Key) -> None:
        if key not in self.now:
            with pytest.raises(store.KeyMissingError):
                self.run(self.store.delete(key))
        else:
            record = self.run(self.store.delete(key))
            assert record.value()["value"] == self.now[key][1]
            self.remember(record.revision, {}, key)

    @rule(values=st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=8))
    def many_at_once(self, values: list[tuple[Key, Any]]) -> None:
        async def write() -> list[store.Record]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(key, value)) for key, value in values]
            return [task.result() for task in tasks]

        async def one(key: Key, value: Any) -> store.Record:
            standing = self.store.head(key)
            if standing is None:
                return await self.store.create(key, {"value": value})
            if value is None:
                return await self.store.delete(key, expected=standing.revision)
            return await self.store.update(key, {"value": value}, expected=standing.revision)

        for (key, value), record in zip(values, self.run(write()), strict=True):
            if record.revision <= max(self.past):
                assert self.now[key] == (record.revision, value)
            elif value is None and key in self.now:
                self.remember(record.revision, {}, key)
            else:
                self.remember(record.revision, {key: (record.revision, value)})

    @rule()
    def restart(self) -> None:
        oldest = self.store.oldest_revision
        self.run(self.store.close())
        self.begin()
        assert self.store.oldest_revision <= oldest

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def lists_are_those_of_the_past(self) -> None:
        assert self.store.revision == max(self.past)
        for revision, state in self.past.items():
            if revision < self.store.oldest_revision:
                with pytest.raises(store.CompactedError):
                    self.store.list("pods", revision=revision)
            else:
                for namespace in (None, "", "a"):
                    self.compare(revision, state, namespace)
        assert list(self.store.resources()) == sorted({key.resource for key in self.now})

    def compare(self, revision: int, state: Objects, namespace: str | None) -> None:
        snapshot = self.store.list("pods", namespace, revision=revision)
        assert snapshot.revision == revision
        found = [(r.key, (r.revision, r.value()["value"])) for r in snapshot.records]
        assert found == sorted(
            (key, standing)
            for key, standing in state.items()
            if key.resource == "pods" and namespace in {None, key.namespace}
        )

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def watches_replay_to_the_present(self) -> None:
        present = {r.key: r.raw for r in self.store.list("pods").records}
        for revision in self.past:
            if revision < self.store.oldest_revision:
                with pytest.raises(store.CompactedError):
                    self.store.watch("pods", since=revision)
                continue
            objects = {r.key: r.raw for r in self.store.list("pods", revision=revision).records}
            for change in self.replay(revision):
                key = change.record.key
                before = change.previous.raw if change.previous else None
                assert before == objects.pop(key, None)
                assert (change.type == "ADDED") is (before is None)
                assert change.record.value()["metadata"]["resourceVersion"] == str(change.revision)
                if change.type != "DELETED":
                    objects[key] = change.record.raw
            assert objects == present

    def replay(self, revision: int) -> list[store.Change]:
        async def read() -> list[store.Change]:
            changes: list[store.Change] = []
            while not watch.caught_up:
                changes += await anext(watch)
            return changes

        watch = self.store.watch("pods", since=revision)
        changes = self.run(read())
        watch.close()
        assert [c.revision for c in changes] == sorted({c.revision for c in changes})
        return changes

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.directory)


StoreMachine.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestStoreMachine = StoreMachine.TestCase

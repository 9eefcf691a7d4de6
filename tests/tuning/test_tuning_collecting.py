"""Metrics of real pods on a real platform: what is read, stored, summed up, and when it is over."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import pytest

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.controller.manager import Manager
from wherry.controller.requests import Request
from wherry.controller.surroundings import Surroundings
from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.testing import builders
from wherry.tuning import collecting
from wherry.tuning.observations.record import Owner
from wherry.tuning.observations.store import Observations


class Trials:
    """Trials that are pods only, and who looks at them as a controller does."""

    def __init__(self, client: Client, home) -> None:
        self.client, self.home = client, home
        self.told: set[str] = set()
        self._work: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> "Trials":
        manager = Manager(self.client, surroundings=Surroundings(home=self.home))
        self.collecting = collecting.of(manager, self._tell)
        return self.again()

    def again(self) -> "Trials":
        """Collect, perhaps once more after an end, as a process that leads again."""
        self._running = asyncio.ensure_future(self.collecting.run())
        return self

    def _tell(self, request: Request) -> None:
        self.told.add(request.name)

    async def __aexit__(self, *_: object) -> None:
        for task in [*self._work, self._running]:
            task.cancel()
        await asyncio.gather(*self._work, self._running, return_exceptions=True)

    async def make(self, script: str, *, look: bool = True, **spec) -> Object:
        """Return a trial whose pod has been created; it is looked at from now on, unless told otherwise."""
        name = f"t-{uuid.uuid4().hex[:8]}"
        objective = {"type": "maximize", "objectiveMetricName": "accuracy"}
        trial = {
            "apiVersion": "kubeflow.org/v1beta1",
            "kind": "Trial",
            "metadata": {"name": name, "namespace": "default", "uid": str(uuid.uuid4())},
            "spec": {"objective": objective | {"additionalMetricNames": ["loss"]}, **spec},
        }
        pod = builders.pod(name, script=script)
        await self.client.create(core.PODS, pod)
        self.collecting.made(trial)
        if look:
            self.look_at(trial)
        return trial

    def look_at(self, trial: Object) -> None:
        self._work.append(asyncio.ensure_future(self._look_at(trial)))

    async def _look_at(self, trial: Object) -> None:
        name = metadata.name(trial)
        watch = self.client.watch(core.PODS, "default", fields=f"metadata.name={name}")
        async for event in watch:
            if event.type in {"ADDED", "MODIFIED"}:
                phase = (event.object.get("status") or {}).get("phase")
                ended = phase in {"Succeeded", "Failed"}
                self.collecting.follow(trial, [event.object], ended=ended)

    async def when(self, trial: Object, is_so) -> collecting.State:
        async with asyncio.timeout(90):
            while not is_so(state := self.collecting.state(trial)):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        return state

    async def finished(self, trial: Object) -> collecting.State:
        return await self.when(trial, lambda state: state.finished)


@pytest.fixture
async def client(shared_platform) -> AsyncIterator[Client]:
    client = Client(HttpTransport(shared_platform.connection))
    yield client
    await client.close()


@pytest.fixture
async def trials(client, tmp_path) -> AsyncIterator[Trials]:
    async with Trials(client, tmp_path / "home") as made:
        yield made


async def test_printed_metrics_are_stored_and_summed_up(trials, tmp_path):
    script = "echo accuracy=0.5 loss=1; echo accuracy = 0.9; echo accuracy=0.7 other=3; echo loss="
    trial = await trials.make(script)
    state = await trials.finished(trial)
    assert state.observation() == {
        "metrics": [
            {"name": "accuracy", "min": "0.5", "max": "0.9", "latest": "0.7"},
            {"name": "loss", "min": "1", "max": "1", "latest": "1"},
        ]
    }
    assert metadata.name(trial) in trials.told
    assert await trials.collecting.curves([trial]) == {metadata.name(trial): (0.5, 0.9, 0.7)}
    stored = await _stored(tmp_path, trial)
    assert [each.metric for each in stored] == ["accuracy", "loss", "accuracy", "accuracy"]


async def test_values_are_seen_while_the_trial_runs(trials):
    trial = await trials.make("echo accuracy=0.5; exec sleep 1000")
    state = await trials.when(trial, lambda state: state.metrics)
    assert not state.finished
    trials.collecting.leave(trial)


async def test_a_killed_collector_stores_nothing_twice(client, tmp_path):
    script = "for i in 1 2 3; do echo accuracy=0.$i; done; sleep 4; echo accuracy=0.4"
    async with Trials(client, tmp_path / "home") as first:
        trial = await first.make(script)
        await first.when(trial, lambda state: state.summary("accuracy"))
        await first.when(trial, lambda state: state.summary("accuracy").latest == "0.3")
        # Stored or not yet: the next one must not care.
    async with Trials(client, tmp_path / "home") as second:
        second.look_at(trial)
        state = await second.finished(trial)
    found = state.summary("accuracy")
    assert found is not None
    assert found.max == "0.4"
    values = [each.value for each in await _stored(tmp_path, trial)]
    assert values == ["0.1", "0.2", "0.3", "0.4"]


async def test_who_collects_again_takes_up_what_another_has_stored(client, tmp_path):
    async with Trials(client, tmp_path / "home") as first:
        trial = await first.make("echo accuracy=0.1; echo accuracy=0.2", look=False)
    async with Trials(client, tmp_path / "home") as second:
        second.look_at(trial)
        await second.finished(trial)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_exit(first.again())
        first.look_at(trial)
        state = await first.finished(trial)
    assert [each.latest for each in state.metrics] == ["0.2"]
    assert [each.value for each in await _stored(tmp_path, trial)] == ["0.1", "0.2"]


async def test_a_trial_without_metrics_is_over_with_its_last_lines(trials):
    trial = await trials.make("echo hello; echo no metrics here")
    state = await trials.finished(trial)
    assert state.metrics == ()
    assert state.last_lines == ("hello", "no metrics here")


async def test_that_rules_stop_a_trial_is_told_with_the_line(trials, monkeypatch):
    # Of what is no reason to stop nothing is told before the end of this test.
    monkeypatch.setattr(collecting, "LIVE_SECONDS", 3600.0)
    rules = [{"name": "accuracy", "value": "0.5", "comparison": "less", "startStep": 3}]
    script = "for i in 1 2 3; do echo accuracy=0.$i; done; exec sleep 600"
    trial = await trials.make(script, earlyStoppingRules=rules)
    state = await trials.when(trial, lambda state: state.stopped)
    assert "accuracy=0.3" in state.stopped
    assert metadata.name(trial) in trials.told
    trials.collecting.leave(trial)


async def test_forgotten_trials_leave_nothing_behind(trials, tmp_path):
    trial = await trials.make("echo accuracy=1")
    await trials.finished(trial)
    await trials.collecting.forget(trial)
    assert await _stored(tmp_path, trial) == []


async def test_a_trial_whose_pods_are_never_seen_is_over(trials):
    trial = {
        "metadata": {"name": "t", "namespace": "default", "uid": "u"},
        "spec": {"objective": {"objectiveMetricName": "accuracy"}},
    }
    trials.collecting.follow(trial, [], ended=True)
    assert (await trials.finished(trial)).metrics == ()


async def _stored(tmp_path, trial, *, values=0):
    """Return what is stored of a trial, once there are so many values."""
    store = Observations(tmp_path / "home" / "tuning" / "observations.db")
    owner = Owner("default", metadata.name(trial), metadata.uid(trial))
    try:
        async with asyncio.timeout(90):
            while len(found := await store.of(owner)) < values:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        return found
    finally:
        await store.close()

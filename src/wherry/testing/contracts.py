"""Contracts: what a plug-in's test class inherits to prove that it keeps to its interface.

Each gives its own few facts as class attributes; the tests come with the class.
"""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from wherry.builtin.settings import BuiltinSettings
from wherry.objects import kinds, metadata, names
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.testing import played
from wherry.testing.clock import FakeClock
from wherry.testing.played import World
from wherry.training import admission, build, component
from wherry.training.framework import Count, Framework
from wherry.training.job import Job
from wherry.tuning import collectors, wire
from wherry.tuning.algorithm import (
    Algorithm,
    Objective,
    Parameter,
    PastTrial,
    Proposal,
    Question,
    Search,
)
from wherry.tuning.collector import Collector, Wanted
from wherry.tuning.space import Space


class FrameworkContract:
    """What every training framework keeps to.

    Tests that are coroutines need pytest-asyncio in mode ``auto``.
    """

    framework: ClassVar[Framework]
    """The one that is tried."""
    replicas: ClassVar[Mapping[str, int]]
    """A job that uses it fully: how many replicas of each type."""
    fields: ClassVar[Mapping[str, Any]] = {}
    """Further fields of its spec."""

    def job(self) -> Object:
        """Return the job, as a user writes it."""
        framework = self.framework
        container = {"name": framework.container or "main", "image": "python:3"}
        template = {"spec": {"containers": [container]}}
        given = {
            type_: {"replicas": count, "template": template}
            for type_, count in self.replicas.items()
        }
        return {
            "apiVersion": framework.resource.api_version,
            "kind": framework.resource.kind,
            "metadata": {"name": "contract", "namespace": "default", "uid": "u"},
            "spec": {framework.replicas_field: given, **self.fields},
        }

    def read(self) -> Job:
        """Return the job as the framework reads it."""
        return self.framework.read(admission.default(self.framework, self.job()))

    def test_defaults_are_idempotent_and_right(self) -> None:
        """What is filled in is taken, stays as it is, and the user's own object is not touched."""
        written = self.job()
        before = copied(written)
        once = admission.default(self.framework, written)
        assert written == before
        assert admission.default(self.framework, once) == once
        assert admission.validate(self.framework, once, None) == []

    def test_unknown_types_are_refused(self) -> None:
        """A type that the framework does not know is named."""
        written = self.job()
        field = self.framework.replicas_field
        written["spec"][field]["Nonesuch"] = next(iter(written["spec"][field].values()))
        made = admission.default(self.framework, written)
        causes = admission.validate(self.framework, made, None)
        assert [cause.field for cause in causes] == [f"spec.{field}[Nonesuch]"]

    def test_the_leader_is_a_replica_of_the_job(self) -> None:
        """Whoever is followed is there, and bears the label."""
        job = self.read()
        leader = self.framework.leader(job)
        marked = [
            replica.name
            for replica in job.all()
            if build.JOB_ROLE in build.replica_labels(self.framework, replica)
        ]
        assert marked == ([] if leader is None else [leader.name])
        assert leader is None or leader.name in {replica.name for replica in job.all()}

    def test_environments_are_texts_and_pure(self) -> None:
        """Asked again a framework says the same, and changes nothing of the job."""
        job = self.read()
        before = copied(job.obj)
        first = [build.pod(self.framework, replica) for replica in job.all()]
        assert [build.pod(self.framework, replica) for replica in job.all()] == first
        assert job.obj == before
        for pod in first:
            for container in pod["spec"]["containers"]:
                for variable in container.get("env") or ():
                    told = variable.get("value", "") if "valueFrom" not in variable else ""
                    assert isinstance(told, str), variable

    def test_pods_and_services_bear_the_replica_s_name(self) -> None:
        """Each has a Service of its own name, whose selector finds it and no other."""
        job = self.read()
        pods = [build.pod(self.framework, replica) for replica in job.all()]
        for replica in job.all():
            service = build.service(self.framework, replica)
            assert metadata.name(service) == replica.name
            assert not list(names.dns1035_label(replica.name))
            wanted = service["spec"]["selector"].items()
            found = [metadata.name(p) for p in pods if wanted <= metadata.labels(p).items()]
            assert found == [replica.name]

    def test_it_has_succeeded_when_all_have_and_not_before_any_has(self) -> None:
        """Success is never earlier than the first pod's and never later than the last one's."""
        job = self.read()
        none = {type_: Count(wanted=job.count(type_)) for type_ in job.replicas}
        done = {
            type_: Count(
                wanted=job.count(type_),
                succeeded=job.count(type_),
                succeeded_indexes=frozenset(range(job.count(type_))),
            )
            for type_ in job.replicas
        }
        assert not self.framework.succeeded(job, none)
        assert not self.framework.running(job, none)
        assert self.framework.succeeded(job, done)

    async def test_a_job_goes_through_its_life(self, tmp_path: Path) -> None:
        """Through the API: created, running, succeeded; and nothing is left when it is deleted."""
        settings = BuiltinSettings(volumes_directory=tmp_path, certificate_authority="")
        product = component.of([self.framework])
        resource = self.framework.resource
        async with played.world((product,), clock=FakeClock(), settings=settings) as world:
            await world.create(resource, self.job())
            wanted = [replica.name for replica in self.read().all()]
            await world.until_names(kinds.PODS, wanted)
            await world.until_condition(resource, "contract", "Running")
            for name in wanted:
                await world.kubelet.finish(name)
            await world.until_condition(resource, "contract", "Succeeded")
            await self._leave(world)

    async def _leave(self, world: World) -> None:
        await world.delete(self.framework.resource, "contract")
        await world.until_names(kinds.PODS, ())
        await world.until_names(kinds.SERVICES, ())


class AlgorithmContract:
    """What every search algorithm keeps to, on a space with all kinds of parameters.

    A run is made of trials that fail now and then, and end in another order than they began.
    """

    algorithm: ClassVar[Algorithm]
    """The one that is tried."""
    settings: ClassVar[Mapping[str, str]] = {}
    """What it needs."""
    parameters: ClassVar[Sequence[Parameter]] = (
        Parameter(name="lr", type="double", min="1e-5", max="1", distribution="logUniform"),
        Parameter(name="drop", type="double", min="0", max="0.9", step="0.3"),
        Parameter(name="width", type="int", min="2", max="64", distribution="logNormal"),
        Parameter(name="batch", type="discrete", values=("64", "16", "32")),
        Parameter(name="opt", type="categorical", values=("sgd", "adam")),
        Parameter(
            name="momentum",
            type="double",
            min="0",
            max="1",
            step="0.1",
            distribution="normal",
            parent="opt",
            parent_values=("sgd",),
        ),
        Parameter(
            name="warm",
            type="int",
            min="1",
            max="9",
            step="2",
            parent="batch",
            parent_values=("16", "64"),
        ),
        Parameter(
            name="shape",
            type="categorical",
            values=("line", "cosine"),
            parent="warm",
            parent_values=("3", "7"),
        ),
    )
    """A space that it can search."""
    free: ClassVar[frozenset[str]] = frozenset()
    """Parameters whose values come from elsewhere than the space, such as a resource."""
    ends: ClassVar[bool] = True
    """Whether it goes through a finite space without repeating itself, and then ends."""
    seeded: ClassVar[bool] = True
    """Whether another seed leads to other points."""

    def search(self, **changes: Any) -> Search:
        """Return an experiment."""
        plain = Search(
            name="contract",
            parameters=tuple(self.parameters),
            objectives=(Objective(metric="loss"),),
            settings=dict(self.settings),
            max_trials=1000,
            parallel=3,
            seed=7,
        )
        return dataclasses.replace(plain, **changes)

    def run(self, search: Search, count: int) -> list[PastTrial]:
        """Return the trials of a run, three at a time, until it ends or has so many."""
        trials: list[PastTrial] = []
        state: Mapping[str, str] = {}
        while len(trials) < count:
            question = Question(search=search, trials=tuple(trials), wanted=3, state=state)
            answer = self.algorithm.propose(question)
            state = answer.state
            for proposal in answer.proposals:
                trials.append(played_trial(proposal, len(trials)))
            # The last one runs on while the next are asked for.
            trials = [finished_trial(trial) for trial in trials[:-1]] + trials[-1:]
            if not answer.proposals:
                if answer.ended:
                    break
                trials = [finished_trial(trial) for trial in trials]
        return trials

    def test_settings_are_taken_and_unknown_ones_are_named(self) -> None:
        """What it needs is right; what it does not know is not passed over."""
        assert list(self.algorithm.validate(self.search())) == []
        unknown = self.search(settings={**self.settings, "random_state": "-1"})
        fields = {cause.field for cause in self.algorithm.validate(unknown)}
        assert fields <= {"spec.algorithm.algorithmSettings[random_state]"}
        assert fields or not self.seeded

    def test_asking_again_gives_the_same_answer(self) -> None:
        """Nothing is kept between calls, and the question is left as it was; so over the wire."""
        search = self.search()
        trials = tuple(self.run(search, 24))
        question = Question(search=search, trials=trials, wanted=4)
        travelled = wire.asked(wire.propose(self.algorithm.name, question)).question
        first = self.algorithm.propose(question)
        assert self.algorithm.propose(travelled) == first
        assert self.algorithm.propose(question) == first
        assert wire.answer(wire.said(first)) == first
        assert trials == tuple(self.run(search, 24))
        assert len(first.proposals) <= 4

    def test_points_lie_in_the_space(self) -> None:
        """Every value is one that the space has, and conditional ones are there when they should."""
        space = Space([one for one in self.parameters if one.name not in self.free])
        for trial in self.run(self.search(), 40):
            point = {k: text for k, text in trial.assignments.items() if k not in self.free}
            assert space.holds(point), point

    def test_it_goes_on_whatever_becomes_of_trials(self) -> None:
        """Trials without a value, or with one that is no number, do not stop a search."""
        search = self.search()
        trials = self.run(search, 18)
        for state, metrics in (
            ("Failed", {}),
            ("Killed", {}),
            ("MetricsUnavailable", {}),
            ("Succeeded", {"loss": float("nan")}),
            ("EarlyStopped", {"loss": 3.0}),
        ):
            bad = [dataclasses.replace(one, state=state, metrics=metrics) for one in trials]
            answer = self.algorithm.propose(Question(search=search, trials=bad, wanted=2))
            assert answer.proposals

    def test_a_seed_decides(self) -> None:
        """The setting goes before the experiment's own seed."""
        named = {**self.settings, "random_state": "3"}
        one, other = self.search(seed=1), self.search(seed=2)
        drawn = [self._points(search) for search in (one, one, other)]
        assert drawn[0] == drawn[1]
        if self.seeded:
            assert drawn[0] != drawn[2]
            fixed = [self._points(self.search(seed=seed, settings=named)) for seed in (1, 2)]
            assert fixed[0] == fixed[1]

    def test_a_finite_space_is_gone_through_once(self) -> None:
        """Every point once, then the end is told."""
        if not self.ends:
            pytest.skip("points are repeated on purpose")
        small = (
            Parameter(name="a", type="int", min="1", max="3"),
            Parameter(name="b", type="double", min="0", max="1", step="0.25"),
        )
        search = self.search(parameters=small, max_trials=None)
        trials = self.run(search, 100)
        assert len({tuple(trial.assignments.items()) for trial in trials}) == 15 == len(trials)
        again = self.algorithm.propose(Question(search=search, trials=tuple(trials)))
        assert again.ended
        assert again.proposals == ()

    def test_a_finite_space_with_conditions_is_gone_through_once(self) -> None:
        """What is switched off makes no points of its own."""
        if not self.ends:
            pytest.skip("points are repeated on purpose")
        small = (
            Parameter(name="a", type="int", min="1", max="4"),
            Parameter(
                name="b",
                type="double",
                min="0.01",
                max="1",
                step="0.33",
                parent="a",
                parent_values=("2", "4"),
            ),
        )
        trials = self.run(self.search(parameters=small, max_trials=None), 100)
        assert len({tuple(trial.assignments.items()) for trial in trials}) == 10 == len(trials)

    def test_a_scale_is_heeded_before_anything_is_known(self) -> None:
        """On a logarithmic scale values below a hundredth of the largest are no exception."""
        if all(one.name != "lr" for one in self.parameters):
            pytest.skip("it takes no continuum")
        trials = self.run(self.search(), 24)
        small = sum(float(trial.assignments["lr"]) < 1e-2 for trial in trials[:12])
        assert 1 <= small <= 11

    def test_labels_can_be_labels(self) -> None:
        """What it marks trials with is what Kubernetes takes."""
        for trial in self.run(self.search(), 12):
            for key, value in trial.labels.items():
                assert not list(names.label_key(key)), key
                assert not list(names.label_value(value)), value

    def _points(self, search: Search) -> list[Mapping[str, str]]:
        return [trial.assignments for trial in self.run(search, 8)]


def played_trial(proposal: Proposal, index: int) -> PastTrial:
    """Return the trial of a proposal, running."""
    return PastTrial(
        name=proposal.name or f"contract-{index}",
        assignments=proposal.assignments,
        state="Running",
        labels=proposal.labels,
        index=index,
    )


def finished_trial(trial: PastTrial) -> PastTrial:
    """Return a trial as it ended: every ninth failed, others have a loss that follows from them."""
    if trial.state != "Running":
        return trial
    if trial.index % 9 == 5:
        return dataclasses.replace(trial, state="Failed")
    text = "/".join(f"{name}={value}" for name, value in sorted(trial.assignments.items()))
    loss = zlib.crc32(text.encode()) / (1 << 32)
    return dataclasses.replace(trial, state="Succeeded", metrics={"loss": loss})


class CollectorContract:
    """What every metrics collector keeps to.

    Its reading is shown by a test of its own, with a real trial.
    """

    collector: ClassVar[Collector]
    """The one that is tried."""
    spec: ClassVar[Mapping[str, Any]] = {}
    """Further fields of a ``metricsCollectorSpec`` that it accepts."""

    def made(self) -> Object:
        """Return a ``metricsCollectorSpec`` with defaults."""
        spec: Object = copied({"collector": {"kind": self.collector.kind}, **self.spec})
        self.collector.default(spec)
        return spec

    def wanted(self) -> Wanted:
        """Return what is collected of a trial."""
        spec = self.made()
        objective = {"type": "minimize", "objectiveMetricName": "loss"}
        return Wanted(
            trial={
                "metadata": {"name": "trial", "namespace": "default", "uid": "u"},
                "spec": {"objective": objective, "metricsCollector": spec},
            },
            metrics=("loss",),
            source=spec.get("source") or {},
            container="main",
        )

    def test_it_is_found_by_its_kind(self) -> None:
        """The list of collectors has it, once."""
        assert collectors.get(self.collector.kind) is self.collector

    def test_defaults_are_right_and_idempotent(self) -> None:
        """What is filled in is taken, and stays as it is."""
        once = self.made()
        assert list(self.collector.validate(once)) == []
        twice = copied(once)
        self.collector.default(twice)
        assert twice == once

    def test_causes_name_fields(self) -> None:
        """Whatever is wrong is told with the field of the Experiment that has it."""
        wrong = {
            "collector": {"kind": self.collector.kind},
            "source": {
                "filter": {"metricsFormat": ["("]},
                "fileSystemPath": {"path": "here", "kind": "Nothing", "format": "None"},
                "httpGet": {"port": -1, "path": "here"},
            },
        }
        for cause in self.collector.validate(wrong):
            assert cause.field.startswith("spec.metricsCollectorSpec.")

    def test_a_pod_is_prepared_once(self) -> None:
        """Doing it again changes nothing, and what the pod had is there still."""
        template: Object = {
            "metadata": {},
            "spec": {
                "containers": [
                    {"name": "other", "image": "i"},
                    {"name": "main", "image": "i", "command": ["run"]},
                ]
            },
        }
        once = copied(template)
        self.collector.prepare(self.wanted(), once)
        names = [each["name"] for each in once["spec"]["containers"]]
        assert names[:2] == ["other", "main"]
        twice = copied(once)
        self.collector.prepare(self.wanted(), twice)
        assert twice == once

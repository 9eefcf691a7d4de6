"""Contracts: what a plug-in's test class inherits to prove that it keeps to its interface.

Each gives its own few facts as class attributes; the tests come with the class.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

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

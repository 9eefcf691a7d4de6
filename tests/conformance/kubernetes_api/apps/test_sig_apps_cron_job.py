"""CronJobs, as upstream's sig-apps cases have them."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

OFTEN = "@every 1s"
"""As a job's name tells its minute, no more than one a minute comes of it."""
POLICIES = ("Allow", "Forbid", "Replace")
SUSPENDED = "suspended"


def case(name: str) -> pytest.MarkDecorator:
    full = f"CronJob {name}"
    return pytest.mark.conformance("kubernetes-api", group="sig-apps", name=full)


def cron_job(name: str, schedule: str = OFTEN, **spec: Any) -> Any:
    template = {"spec": builders.job(name, script="exec sleep 1000000")["spec"]}
    fields = {"schedule": schedule, "jobTemplate": template, **spec}
    return {"metadata": {"name": name}, "spec": fields}


class Minutes:
    """CronJobs of every policy whose jobs never end by themselves, past the turn of a minute."""

    def __init__(self, api: Any, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    def jobs(self, name: str) -> dict[str, str]:
        """The uids of a CronJob's jobs that are not going, by their names."""
        found = self.api.items(kinds.JOBS, self.namespace)
        return {
            job["metadata"]["name"]: job["metadata"]["uid"]
            for job in found
            if job["metadata"]["ownerReferences"][0]["name"] == name
            and "deletionTimestamp" not in job["metadata"]
        }

    def active(self, name: str) -> int:
        status = self.api.get(kinds.CRON_JOBS, name, self.namespace).get("status") or {}
        return len(status.get("active") or ())

    def begin(self) -> dict[str, dict[str, str]]:
        for policy in POLICIES:
            self.create(policy.lower(), concurrencyPolicy=policy)
        self.create(SUSPENDED, suspend=True)
        return {policy: self.begun(policy.lower()) for policy in POLICIES}

    def begun(self, name: str) -> dict[str, str]:
        """Wait for a CronJob's first jobs."""
        return eventually(lambda: self.jobs(name))

    def create(self, name: str, **spec: Any) -> None:
        self.api.create(kinds.CRON_JOBS, cron_job(name, **spec), self.namespace)


@pytest.fixture(scope="module")
def minutes(api: Any) -> Iterator[tuple[Minutes, dict[str, dict[str, str]]]]:
    """Give CronJobs that have come past a minute, and the jobs that they had before it."""
    namespace = f"cron-{time.time_ns()}"
    api.create(kinds.NAMESPACES, builders.namespace(namespace))
    eventually(lambda: api.find(kinds.SERVICE_ACCOUNTS, "default", namespace))
    made = Minutes(api, namespace)
    first = made.begin()
    # The further job that is let by tells that the minute has turned, and that schedules are heeded.
    before = len(first["Allow"])
    eventually(lambda: len(made.jobs("allow")) > before, 150, what="a further job is started")
    yield made, first
    api.delete(kinds.NAMESPACES, namespace)


pytestmark = pytest.mark.timeout(400)


@case("should schedule multiple jobs concurrently")
def test_allow(minutes: Any) -> None:
    world, first = minutes
    assert set(first["Allow"].items()) < set(world.jobs("allow").items())
    # Of a slow machine's minutes there may have been more.
    eventually(lambda: world.active("allow") >= 2, what="both are active")


@case("should not schedule new jobs when ForbidConcurrent [Slow]")
def test_forbid(minutes: Any) -> None:
    world, first = minutes

    def told() -> bool:
        events = world.api.items(kinds.EVENTS, world.namespace)
        about = {one["reason"] for one in events if one["involvedObject"]["name"] == "forbid"}
        return "JobAlreadyActive" in about

    eventually(told, what="an event says why there is no second job")
    assert world.jobs("forbid") == first["Forbid"]
    assert world.active("forbid") == 1


@case("should replace jobs when ReplaceConcurrent")
def test_replace(minutes: Any) -> None:
    world, first = minutes

    def replaced() -> bool:
        found = world.jobs("replace")
        return len(found) == 1 and found != first["Replace"]

    eventually(replaced, what="another job is there in its stead")
    eventually(lambda: world.active("replace") == 1, what="it is active")


@case("should not schedule jobs when suspended [Slow]")
def test_suspended(minutes: Any) -> None:
    world, _ = minutes
    assert world.jobs(SUSPENDED) == {}
    assert world.active(SUSPENDED) == 0


@case("should support CronJob API operations")
def test_api(space: Any) -> None:
    api = space.api
    groups = {one["name"]: one for one in api.ask("GET", "/apis")["groups"]}
    assert "batch/v1" in [one["groupVersion"] for one in groups["batch"]["versions"]]
    served = {one["name"] for one in api.ask("GET", "/apis/batch/v1")["resources"]}
    assert {"cronjobs", "cronjobs/status"} <= served
    with space.watching(kinds.CRON_JOBS) as seen:
        for name in ("one", "two", "three"):
            made = cron_job(name, "0 0 29 2 *")
            made["metadata"]["labels"] = {"special": space.name}
            space.create(kinds.CRON_JOBS, made)
        seen.until("ADDED", lambda one: one["metadata"]["name"] == "three")
        assert space.get(kinds.CRON_JOBS, "one")["spec"]["schedule"] == "0 0 29 2 *"
        assert len(space.list(kinds.CRON_JOBS)) == 3
        assert len(space.everywhere(kinds.CRON_JOBS, f"special={space.name}")) == 3
        patch = {"metadata": {"annotations": {"patched": "true"}}}
        patched = space.patch(kinds.CRON_JOBS, "one", patch)
        assert patched["metadata"]["annotations"]["patched"] == "true"
        seen.until("MODIFIED", lambda one: "patched" in str(one["metadata"].get("annotations")))

        def update(one: Any) -> None:
            one["metadata"]["annotations"]["updated"] = "true"

        assert "updated" in space.edit(kinds.CRON_JOBS, "one", update)["metadata"]["annotations"]
        _check_status(space)
        space.delete(kinds.CRON_JOBS, "one")
        seen.until("DELETED")
        assert len(space.list(kinds.CRON_JOBS)) == 2
        space.delete_collection(kinds.CRON_JOBS, f"special={space.name}")
        space.until(lambda: not space.list(kinds.CRON_JOBS), what="all are gone")


def _check_status(space: Any) -> None:
    before = space.get(kinds.CRON_JOBS, "one", "status")
    assert before["kind"] == "CronJob"
    last = "2026-01-01T00:00:00Z"
    patch = {
        "metadata": {"annotations": {"patchedstatus": "true"}},
        "status": {"lastScheduleTime": last},
    }
    patched = space.patch(kinds.CRON_JOBS, "one", patch, subresource="status")
    assert patched["status"]["lastScheduleTime"] == last
    assert patched["metadata"]["annotations"]["patchedstatus"] == "true"

    def later(one: Any) -> None:
        one["status"]["lastScheduleTime"] = "2026-01-02T00:00:00Z"

    updated = space.edit(kinds.CRON_JOBS, "one", later, "status")
    assert updated["status"]["lastScheduleTime"] == "2026-01-02T00:00:00Z"

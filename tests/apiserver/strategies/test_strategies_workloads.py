"""Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, CronJobs."""

import copy
from typing import Any

import pytest

from wherry.objects import kinds

LABELS = {"app": "a"}
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": LABELS},
    "spec": {"containers": [{"name": "c", "image": "x:1"}]},
}


def workload(**spec: Any) -> dict[str, Any]:
    base = {"selector": {"matchLabels": LABELS}, "template": copy.deepcopy(TEMPLATE)}
    return {"spec": base | spec}


def job(policy: str = "Never", **spec: Any) -> dict[str, Any]:
    template = copy.deepcopy(TEMPLATE)
    template["spec"]["restartPolicy"] = policy
    return {"spec": {"template": template} | spec}


def cron(**spec: Any) -> dict[str, Any]:
    return {"spec": {"schedule": "*/5 * * * *", "jobTemplate": job()} | spec}


CLAIM: dict[str, Any] = {"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"]}}


@pytest.mark.parametrize(
    ("resource", "obj", "filled"),
    [
        (
            kinds.DEPLOYMENTS,
            workload(),
            {
                "replicas": 1,
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
                },
                "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600,
            },
        ),
        (
            kinds.DEPLOYMENTS,
            workload(replicas=0, strategy={"type": "Recreate"}),
            {
                "replicas": 0,
                "strategy": {"type": "Recreate"},
                "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600,
            },
        ),
        (kinds.REPLICA_SETS, workload(), {"replicas": 1}),
        (
            kinds.STATEFUL_SETS,
            workload(serviceName="s"),
            {
                "serviceName": "s",
                "replicas": 1,
                "podManagementPolicy": "OrderedReady",
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                "revisionHistoryLimit": 10,
                "persistentVolumeClaimRetentionPolicy": {
                    "whenDeleted": "Retain",
                    "whenScaled": "Retain",
                },
            },
        ),
        (
            kinds.DAEMON_SETS,
            workload(),
            {
                "updateStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
                },
                "revisionHistoryLimit": 10,
            },
        ),
        (
            kinds.JOBS,
            job(),
            {
                "completions": 1,
                "parallelism": 1,
                "backoffLimit": 6,
                "completionMode": "NonIndexed",
                "suspend": False,
                "manualSelector": False,
                "podReplacementPolicy": "TerminatingOrFailed",
            },
        ),
        (
            kinds.CRON_JOBS,
            cron(),
            {
                "schedule": "*/5 * * * *",
                "concurrencyPolicy": "Allow",
                "suspend": False,
                "successfulJobsHistoryLimit": 3,
                "failedJobsHistoryLimit": 1,
            },
        ),
    ],
)
async def test_defaults(writer, resource, obj, filled):
    made = writer.default(resource, obj)
    shared = ("selector", "template", "jobTemplate")
    assert {k: v for k, v in made["spec"].items() if k not in shared} == filled
    again = copy.deepcopy(made)
    writer.strategy(resource).default(again)
    assert again == made


async def test_templates_get_the_defaults_of_pods_but_no_requests(writer):
    obj = workload()
    obj["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1000m"}}
    spec = writer.default(kinds.DEPLOYMENTS, obj)["spec"]["template"]["spec"]
    assert spec["restartPolicy"] == "Always"
    assert spec["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert "enableServiceLinks" not in spec


async def test_claim_templates_become_whole_claims(writer):
    made = writer.default(kinds.STATEFUL_SETS, workload(volumeClaimTemplates=[CLAIM]))
    (claim,) = made["spec"]["volumeClaimTemplates"]
    assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
    assert claim["spec"]["volumeMode"] == "Filesystem"
    assert claim["status"] == {"phase": "Pending"}


async def test_pods_may_mount_what_a_claim_template_brings(writer):
    claim = copy.deepcopy(CLAIM)
    claim["spec"]["resources"] = {"requests": {"storage": "1Gi"}}
    wanted = workload(volumeClaimTemplates=[claim])
    container = wanted["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": "d", "mountPath": "/data"}]
    made = writer.good(kinds.STATEFUL_SETS, copy.deepcopy(wanted))
    assert "volumes" not in made["spec"]["template"]["spec"]
    container["volumeMounts"][0]["name"] = "other"
    _, found = writer.create(kinds.STATEFUL_SETS, wanted)
    assert [cause.message for cause in found] == ['Not found: "other"']


async def test_replication_controller_takes_its_selector_from_the_template(writer):
    made = writer.good(kinds.REPLICATION_CONTROLLERS, {"spec": {"template": TEMPLATE}})
    assert made["spec"]["selector"] == made["metadata"]["labels"] == LABELS


OTHER = {"matchLabels": {"app": "b"}}


@pytest.mark.parametrize(
    ("resource", "obj", "field", "text"),
    [
        (
            kinds.DEPLOYMENTS,
            workload(selector=OTHER),
            "spec.template.metadata.labels",
            "`selector` does not match template `labels`",
        ),
        (kinds.DEPLOYMENTS, workload(selector={}), "spec.selector", "empty selector is invalid"),
        (kinds.REPLICA_SETS, workload(selector=None), "spec.selector", "Required value"),
        (kinds.DEPLOYMENTS, workload(replicas=-1), "spec.replicas", "greater than or equal to 0"),
        (
            kinds.DEPLOYMENTS,
            workload(strategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "0%"}}),
            "spec.strategy.rollingUpdate.maxUnavailable",
            "may not be 0 when `maxSurge` is 0",
        ),
        (
            kinds.DEPLOYMENTS,
            workload(strategy={"rollingUpdate": {"maxSurge": "many"}}),
            "spec.strategy.rollingUpdate.maxSurge",
            "integer or percentage",
        ),
        (
            kinds.DEPLOYMENTS,
            workload(strategy={"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}),
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            kinds.DEPLOYMENTS,
            workload(progressDeadlineSeconds=5, minReadySeconds=5),
            "spec.progressDeadlineSeconds",
            "must be greater than minReadySeconds",
        ),
        (
            kinds.DEPLOYMENTS,
            workload(template={**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}),
            "spec.template.spec.restartPolicy",
            'supported values: "Always"',
        ),
        (
            kinds.STATEFUL_SETS,
            workload(podManagementPolicy="Wild"),
            "spec.podManagementPolicy",
            '"Parallel"',
        ),
        (
            kinds.STATEFUL_SETS,
            workload(volumeClaimTemplates=[CLAIM]),
            "spec.volumeClaimTemplates[0].spec.resources[storage]",
            "Required value",
        ),
        (kinds.JOBS, job("Always"), "spec.template.spec.restartPolicy", '"OnFailure", "Never"'),
        (kinds.JOBS, job(parallelism=-1), "spec.parallelism", "greater than or equal to 0"),
        (
            kinds.JOBS,
            job(completionMode="Indexed", parallelism=2),
            "spec.completions",
            "when completion mode is Indexed",
        ),
        (
            kinds.JOBS,
            job(backoffLimitPerIndex=1),
            "spec.backoffLimitPerIndex",
            "requires indexed completion mode",
        ),
        (
            kinds.JOBS,
            job(podFailurePolicy={"rules": [{"action": "FailJob"}]}),
            "spec.podFailurePolicy.rules[0]",
            "specifying one of OnExitCodes and OnPodConditions is required",
        ),
        (
            kinds.JOBS,
            job(
                podFailurePolicy={
                    "rules": [
                        {"action": "Fail", "onExitCodes": {"operator": "In", "values": [1]}},
                    ]
                }
            ),
            "spec.podFailurePolicy.rules[0].action",
            '"FailJob"',
        ),
        (
            kinds.JOBS,
            job(
                podFailurePolicy={
                    "rules": [
                        {"action": "Count", "onExitCodes": {"operator": "In", "values": [0]}},
                    ]
                }
            ),
            "spec.podFailurePolicy.rules[0].onExitCodes.values[0]",
            "must not be 0",
        ),
        (
            kinds.JOBS,
            job(
                "OnFailure",
                podFailurePolicy={
                    "rules": [
                        {"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}},
                    ]
                },
            ),
            "spec.template.spec.restartPolicy",
            'only "Never" is supported when podFailurePolicy is specified',
        ),
        (kinds.CRON_JOBS, cron(schedule=""), "spec.schedule", "Required value"),
        (kinds.CRON_JOBS, cron(schedule="* * * *"), "spec.schedule", "five fields"),
        (kinds.CRON_JOBS, cron(schedule="61 * * * *"), "spec.schedule", "is no schedule"),
        (kinds.CRON_JOBS, cron(schedule="* * * * * *"), "spec.schedule", "five fields"),
        (
            kinds.CRON_JOBS,
            cron(schedule="TZ=UTC 0 * * * *"),
            "spec.schedule",
            "use timeZone field instead",
        ),
        (kinds.CRON_JOBS, cron(timeZone="Mars/Base"), "spec.timeZone", "unknown time zone"),
        (kinds.CRON_JOBS, cron(timeZone="Local"), "spec.timeZone", "explicit time zone"),
        (kinds.CRON_JOBS, cron(timeZone="../../etc/passwd"), "spec.timeZone", "unknown time zone"),
        (
            kinds.CRON_JOBS,
            cron() | {"metadata": {"name": "n" * 53}},
            "metadata.name",
            "no more than 52 characters",
        ),
    ],
)
async def test_refused(writer, resource, obj, field, text):
    _, found = writer.create(resource, obj)
    assert [cause.field for cause in found] == [field]
    assert text in found[0].message


@pytest.mark.parametrize("schedule", ["@daily", "@every 1h30m", "0 0 * * MON-FRI", "0 0 1 1 ?"])
async def test_schedules_that_are_taken(writer, schedule):
    writer.good(kinds.CRON_JOBS, cron(schedule=schedule, timeZone="Europe/Berlin"))


async def test_jobs_get_a_selector_of_their_own(writer):
    obj = writer.good(kinds.JOBS, job())
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    assert obj["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert obj["spec"]["template"]["metadata"]["labels"] == {
        **LABELS,
        "batch.kubernetes.io/controller-uid": uid,
        "controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "job-name": name,
    }


async def test_jobs_may_not_pretend_to_be_others(writer):
    obj = job()
    obj["spec"]["template"]["metadata"]["labels"] = {"controller-uid": "other"}
    _, found = writer.create(kinds.JOBS, obj)
    assert [cause.field for cause in found] == ["spec.template.metadata.labels[controller-uid]"]


async def test_manual_selectors_are_left_alone(writer):
    obj = job(manualSelector=True, selector={"matchLabels": LABELS})
    made = writer.good(kinds.JOBS, obj)
    assert made["spec"]["selector"] == {"matchLabels": LABELS}
    assert made["spec"]["template"]["metadata"]["labels"] == LABELS


def _change(obj: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {**obj, "spec": {**copy.deepcopy(obj["spec"]), **spec}}


@pytest.mark.parametrize(
    ("resource", "obj", "change", "fields"),
    [
        (kinds.DEPLOYMENTS, workload(), {"replicas": 3, "paused": True}, []),
        (kinds.STATEFUL_SETS, workload(), {"replicas": 3, "minReadySeconds": 1}, []),
        (kinds.STATEFUL_SETS, workload(), {"serviceName": "other"}, ["spec"]),
        (kinds.STATEFUL_SETS, workload(), {"podManagementPolicy": "Parallel"}, ["spec"]),
        (kinds.JOBS, job(), {"parallelism": 2, "suspend": True}, []),
        (kinds.JOBS, job(), {"completions": 2}, ["spec.completions"]),
        (kinds.JOBS, job(), {"completionMode": "Indexed"}, ["spec.completionMode"]),
    ],
)
async def test_what_may_change(writer, resource, obj, change, fields):
    old = writer.good(resource, obj)
    _, found = writer.update(resource, _change(old, **change), old)
    assert [cause.field for cause in found] == fields


async def test_selectors_are_immutable(writer):
    for resource in (kinds.DEPLOYMENTS, kinds.REPLICA_SETS, kinds.DAEMON_SETS):
        old = writer.good(resource, workload())
        new = _change(old, **workload(selector=OTHER)["spec"])
        new["spec"]["template"]["metadata"]["labels"] = {"app": "b"}
        _, found = writer.update(resource, new, old)
        assert [(cause.field, "field is immutable" in cause.message) for cause in found] == [
            ("spec.selector", True)
        ]


async def test_job_templates_change_only_before_the_start(writer):
    old = writer.good(kinds.JOBS, job(suspend=True))
    directed = copy.deepcopy(old)
    directed["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "fast"}
    assert writer.update(kinds.JOBS, directed, old)[1] == []
    old["status"] = {"startTime": "2026-01-01T00:00:00Z"}
    _, found = writer.update(kinds.JOBS, directed, old)
    assert [cause.field for cause in found] == ["spec.template"]


async def test_elastic_indexed_jobs_may_resize(writer):
    old = writer.good(kinds.JOBS, job(completionMode="Indexed", completions=2, parallelism=2))
    _, found = writer.update(kinds.JOBS, _change(old, completions=3, parallelism=3), old)
    assert found == []


async def test_status_updates_are_not_held_to_the_spec_rules(writer):
    old = writer.good(kinds.DEPLOYMENTS, workload())
    new = {**copy.deepcopy(old), "status": {"replicas": 1}}
    assert writer.update(kinds.DEPLOYMENTS, new, old, subresource="status")[1] == []

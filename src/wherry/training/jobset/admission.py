"""What the API does with a JobSet before it stores it: fill in, check. Pure.

Source: kubernetes-sigs/jobset ``pkg/webhooks/jobset_webhook.go`` and the rules in its definition.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.objects import names
from wherry.objects.copies import copied
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training.jobset import claims, job_set, kinds
from wherry.training.jobset.job_set import JobSet
from wherry.training.jobset.kinds import FailureRule, ReplicatedJob

_RULE_NAME: Final = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
_RULE_NAME_LENGTH: Final = 128
_MANAGER_LENGTH: Final = 63
_PATTERN_LENGTH: Final = 512
_MOST_PODS: Final = 2**31 - 1
_FORBIDDEN, _UNSUPPORTED = "FieldValueForbidden", "FieldValueNotSupported"
_IMMUTABLE: Final = (
    "network",
    "successPolicy",
    "failurePolicy",
    "startupPolicy",
    "managedBy",
    "volumeClaimPolicies",
)
# What says where pods run may change while none does: queues place them on resuming.
_PLACING: Final = ("nodeSelector", "tolerations", "schedulingGates")
_PLACING_METADATA: Final = ("labels", "annotations")


def default(obj: Object) -> Object:
    """Return a JobSet with what its user left out. Idempotent; the argument stays as it is."""
    made = copied(obj)
    spec = made.setdefault("spec", {})
    spec.setdefault("successPolicy", {"operator": kinds.ALL})
    spec.setdefault("startupPolicy", {"startupPolicyOrder": kinds.ANY_ORDER})
    network = spec.setdefault("network", {})
    network.setdefault("enableDNSHostnames", True)
    network.setdefault("publishNotReadyAddresses", True)
    for index, rule in enumerate((spec.get("failurePolicy") or {}).get("rules") or ()):
        rule["name"] = rule.get("name") or f"failurePolicyRule{index}"
    for policy in spec.get("volumeClaimPolicies") or ():
        policy.setdefault("retentionPolicy", {}).setdefault("whenDeleted", kinds.DELETE)
    for replicated in spec.get("replicatedJobs") or ():
        job = replicated.setdefault("template", {}).setdefault("spec", {})
        job.setdefault("completionMode", kinds.INDEXED)
        pod = job.setdefault("template", {}).setdefault("spec", {})
        pod["restartPolicy"] = pod.get("restartPolicy") or "OnFailure"
    return made


def validate(obj: Object, old: Object | None) -> list[Cause]:
    """Return what is wrong with a JobSet.

    Args:
        obj: With defaults filled in.
        old: As it was before; None: it is new.
    """
    if old is not None:
        # As upstream: what was taken once is not asked about again, only what has changed.
        return [*_changed(obj, default(old))]
    read = job_set.read(obj)
    known = [replicated.name for replicated in read.spec.replicated_jobs]
    causes = [*_network(read), *_manager(read), *_targets(read, known), *_order(read)]
    for index, replicated in enumerate(read.spec.replicated_jobs):
        field = f"spec.replicatedJobs[{index}]"
        causes += [*_names(read, replicated, field), *_depends(replicated, known[:index], field)]
    policy = read.spec.failure_policy
    for index, rule in enumerate(policy.rules if policy is not None else ()):
        earlier = [] if policy is None else [each.name for each in policy.rules[:index]]
        causes += _rule(rule, known, earlier, f"spec.failurePolicy.rules[{index}]")
    return [*causes, *_coordinator(read), *claims.validate(read)]


def _network(read: JobSet) -> Iterator[Cause]:
    given = read.spec.network.subdomain if read.spec.network is not None else ""
    for problem in names.dns1035_label(given) if given else ():
        yield Cause("spec.network.subdomain", f'"{given}": {problem}; a Service is called so')


def _manager(read: JobSet) -> Iterator[Cause]:
    manager = read.spec.managed_by
    if not manager:
        return
    domain, slash, path = manager.partition("/")
    if not slash or not path or names.dns_subdomain(domain):
        yield Cause("spec.managedBy", f'"{manager}": want a domain and a path: example.com/name')
    if len(manager) > _MANAGER_LENGTH:
        yield Cause("spec.managedBy", f"longer than {_MANAGER_LENGTH} characters")


def _targets(read: JobSet, known: list[str]) -> Iterator[Cause]:
    policy = read.spec.success_policy
    for name in policy.target_replicated_jobs if policy is not None else ():
        if name not in known:
            yield _unknown("spec.successPolicy.targetReplicatedJobs", name, known)


def _unknown(field: str, name: str, known: list[str]) -> Cause:
    there = f"there {'is' if len(known) == 1 else 'are'} {', '.join(known) or 'none'}"
    return Cause(field, f'"{name}": no such replicated job; {there}', _UNSUPPORTED)


def _order(read: JobSet) -> Iterator[Cause]:
    policy = read.spec.startup_policy
    in_order = policy is not None and policy.startup_policy_order == kinds.IN_ORDER
    if in_order and any(each.depends_on for each in read.spec.replicated_jobs):
        message = "InOrder: cannot be had together with dependsOn of a replicated job"
        yield Cause("spec.startupPolicy.startupPolicyOrder", message)


def _names(read: JobSet, replicated: ReplicatedJob, field: str) -> Iterator[Cause]:
    for problem in names.dns1035_label(replicated.group_name):
        yield Cause(f"{field}.groupName", f'"{replicated.group_name}": {problem}')
    job = replicated.template.get("spec") or {}
    name = f"{read.name}-{replicated.name}-{max(0, replicated.replicas - 1)}"
    completions = job.get("completions")
    if job.get("completionMode") == kinds.INDEXED and completions is not None:
        name = f"{name}-{max(0, int(completions) - 1)}-abcde"
    for problem in names.dns1035_label(name):
        message = f'"{replicated.name}": makes the name "{name}": {problem}'
        yield Cause(f"{field}.name", message)
    pods = int(job.get("parallelism") or 1) * replicated.replicas
    if pods > _MOST_PODS:
        yield Cause(f"{field}.replicas", f"{replicated.replicas}: {pods} pods are too many")


def _depends(replicated: ReplicatedJob, before: list[str], field: str) -> Iterator[Cause]:
    for index, wanted in enumerate(replicated.depends_on):
        if wanted.name not in before:
            place = f"{field}.dependsOn[{index}].name"
            message = f'"{wanted.name}": want a replicated job that stands before this one'
            accepted = f": {', '.join(before)}" if before else "; this is the first"
            yield Cause(place, message + accepted)


def _rule(rule: FailureRule, known: list[str], earlier: list[str], field: str) -> Iterator[Cause]:
    if len(rule.name) > _RULE_NAME_LENGTH or not _RULE_NAME.fullmatch(rule.name):
        message = (
            f'"{rule.name}": want at most {_RULE_NAME_LENGTH} letters, digits and _,: that start '
            "with a letter and end with a letter, a digit or _"
        )
        yield Cause(f"{field}.name", message)
    if rule.name in earlier:
        message = f'"{rule.name}": another rule has this name'
        yield Cause(f"{field}.name", message, "FieldValueDuplicate")
    for name in rule.target_replicated_jobs:
        if name not in known:
            yield _unknown(f"{field}.targetReplicatedJobs", name, known)
    for reason in rule.on_job_failure_reasons:
        if reason not in kinds.JOB_FAILURE_REASONS:
            accepted = ", ".join(kinds.JOB_FAILURE_REASONS)
            place = f"{field}.onJobFailureReasons"
            yield Cause(place, f'"{reason}": want one of {accepted}', _UNSUPPORTED)
    for pattern in rule.on_job_failure_message_patterns:
        if problem := _pattern_problem(pattern):
            yield Cause(f"{field}.onJobFailureMessagePatterns", f'"{pattern[:80]}": {problem}')


def _pattern_problem(pattern: str) -> str:
    if len(pattern) > _PATTERN_LENGTH:
        return f"longer than {_PATTERN_LENGTH} characters"
    try:
        re.compile(pattern)
    except re.error as error:
        return f"no regular expression: {error}"
    return ""


def _coordinator(read: JobSet) -> Iterator[Cause]:
    chosen = read.spec.coordinator
    if chosen is None:
        return
    field = "spec.coordinator"
    by_name = {each.name: each for each in read.spec.replicated_jobs}
    replicated = by_name.get(chosen.replicated_job)
    if replicated is None:
        yield _unknown(f"{field}.replicatedJob", chosen.replicated_job, [*by_name])
        return
    job = replicated.template.get("spec") or {}
    completions = job.get("completions")
    if chosen.job_index >= replicated.replicas:
        message = f"{chosen.job_index}: {replicated.name} has {replicated.replicas} replicas"
        yield Cause(f"{field}.jobIndex", message)
    if job.get("completionMode") != kinds.INDEXED or completions is None:
        message = f'"{replicated.name}": its Job has to be Indexed, with completions given'
        yield Cause(f"{field}.replicatedJob", message)
    elif chosen.pod_index >= int(completions):
        message = f"{chosen.pod_index}: {replicated.name} has {completions} completions"
        yield Cause(f"{field}.podIndex", message)
    host = job_set.pod_host(read, replicated.name, chosen.job_index, chosen.pod_index)
    for problem in names.label_value(host):
        yield Cause(field, f'"{host}": is to be a label: {problem}')


def _changed(obj: Object, old: Object) -> Iterator[Cause]:
    before, after = old["spec"], obj["spec"]
    for name in _IMMUTABLE:
        if before.get(name) != after.get(name):
            yield Cause(f"spec.{name}", "cannot be changed; make another JobSet", _FORBIDDEN)
    loose = bool(before.get("suspend") or after.get("suspend"))
    there = {each["name"]: each for each in before.get("replicatedJobs") or ()}
    wanted = {each["name"]: each for each in after.get("replicatedJobs") or ()}
    if there.keys() != wanted.keys():
        message = "replicated jobs can neither be added nor removed; make another JobSet"
        yield Cause("spec.replicatedJobs", message, _FORBIDDEN)
        return
    for index, (name, each) in enumerate(wanted.items()):
        if _fixed(each, loose=loose) != _fixed(there[name], loose=loose):
            message = (
                "cannot be changed; only labels, annotations, nodeSelector, tolerations and "
                "schedulingGates of its pods can, while the JobSet is suspended"
            )
            yield Cause(f"spec.replicatedJobs[{index}]", message, _FORBIDDEN)


def _fixed(replicated: Mapping[str, Any], *, loose: bool) -> Object:
    """Return what of a replicated job must stay."""
    made = copied(dict(replicated))
    if loose:
        template = made["template"]["spec"]["template"]
        for field in _PLACING:
            template["spec"].pop(field, None)
        for field in _PLACING_METADATA:
            (template.get("metadata") or {}).pop(field, None)
        if not template.get("metadata"):
            template.pop("metadata", None)
    return made

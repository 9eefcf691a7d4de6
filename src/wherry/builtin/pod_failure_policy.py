"""What a failed pod means to its Job, by the Job's own rules. Pure.

Source: `spec.podFailurePolicy` and `spec.successPolicy` of batch/v1.
"""

from collections.abc import Iterator
from typing import Any, Literal

from wherry.builtin import indexes
from wherry.objects import metadata
from wherry.objects.requests import Object

Action = Literal["FailJob", "FailIndex", "Ignore", "Count"]


def action(job: Object, pod: Object) -> tuple[Action, str]:
    """Return what the first matching rule says, and why; ``Count`` where none matches."""
    policy = job["spec"].get("podFailurePolicy") or {}
    for number, rule in enumerate(policy.get("rules") or ()):
        why = _exit_codes_match(rule, pod) or _conditions_match(rule, pod)
        if why:
            name = f"{metadata.namespace(pod)}/{metadata.name(pod)}"
            return rule[
                "action"
            ], f"{why.format(pod=name)} matching {rule['action']} rule at index {number}"
    return "Count", ""


def _exit_codes_match(rule: Object, pod: Object) -> str:
    wanted = rule.get("onExitCodes")
    if not wanted:
        return ""
    for name, code in _exit_codes(pod):
        if code == 0 or wanted.get("containerName") not in {None, name}:
            continue
        if (code in wanted["values"]) == (wanted["operator"] == "In"):
            return f"Container {name} for pod {{pod}} failed with exit code {code}"
    return ""


def _exit_codes(pod: Object) -> Iterator[tuple[str, int]]:
    status = pod.get("status") or {}
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(field) or ():
            terminated = (container.get("state") or {}).get("terminated")
            if terminated:
                yield container["name"], terminated.get("exitCode", 0)


def _conditions_match(rule: Object, pod: Object) -> str:
    present = (pod.get("status") or {}).get("conditions") or []
    for pattern in rule.get("onPodConditions") or ():
        for condition in present:
            same = condition["type"] == pattern["type"]
            if same and condition["status"] == pattern.get("status", "True"):
                return f"Pod {{pod}} has condition {condition['type']}"
    return ""


def success_reached(job: Object, completed: set[int]) -> str:
    """Return the message of the first `successPolicy` rule that is met, empty where none is."""
    rules: list[dict[str, Any]] = (job["spec"].get("successPolicy") or {}).get("rules") or []
    for number, rule in enumerate(rules):
        wanted = indexes.parse(rule.get("succeededIndexes", ""))
        done = completed & wanted if wanted else completed
        needed = rule.get("succeededCount", len(wanted))
        if needed and len(done) >= needed:
            return f"Matched rules at index {number}"
    return ""

"""When a CronWorkflow is due, and how far it is. Pure.

A time that is no more than `GRACE_SECONDS` past counts as now: the control plane may have been busy, or begun anew.
Of those that are missed, the last one is made up for within ``startingDeadlineSeconds``.

Source: argo-workflows after 4.1.2, ``workflow/cron/operator.go``.
"""

import dataclasses
import datetime
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.builtin.schedules import Schedule
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.messages import CronWorkflowSpec

GRACE_SECONDS: Final = 30
COUNTS_FROM_ANNOTATION: Final = "workflows.wherry.dev/counts-from"
"""Of schedules: since when their times count, as they were changed."""
ACTIVE: Final = "Active"
STOPPED: Final = "Stopped"
SUBMISSION_ERROR: Final = "SubmissionError"
SPEC_ERROR: Final = "SpecError"
KEPT_SUCCESSFUL: Final = 3
KEPT_FAILED: Final = 1
_ENDED: Final = ("Succeeded", "Failed", "Error")
_ZONE: Final = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.*)", re.DOTALL)
_FIELDS: Final = 5


def parse(text: str, zone: str = "") -> Schedule:
    """Read a schedule: five fields, a macro or ``@every``; ``CRON_TZ=`` may stand before them.

    Args:
        text: The schedule.
        zone: Where its fields are read if it does not say; empty: UTC.

    Raises:
        ValueError: It is none, or there is no such time zone.
    """
    match = _ZONE.fullmatch(text.strip())
    rest = (match[2] if match else text).strip()
    if not rest.startswith("@") and len(rest.split()) != _FIELDS:
        raise ValueError(f"{text!r} has not five fields")
    return Schedule.parse(rest, (match[1] if match else zone) or None)


@dataclass(frozen=True, slots=True)
class Times:
    """All schedules of a CronWorkflow.

    Attributes:
        schedules: Each of them.
        key: A text that differs where they do.
    """

    schedules: tuple[Schedule, ...]
    key: str

    @classmethod
    def of(cls, spec: CronWorkflowSpec) -> "Times":
        """Read them.

        Raises:
            ValueError: One is none.
        """
        texts = (*spec.schedules, *([spec.schedule] if spec.schedule else []))
        zone = f"CRON_TZ={spec.timezone} " if spec.timezone else ""
        return cls(
            tuple(parse(text, spec.timezone) for text in texts),
            ",".join(f"{zone}{text}" for text in texts),
        )

    def due(self, after: datetime.datetime, now: datetime.datetime) -> datetime.datetime | None:
        """Return the latest time later than ``after`` and no later than ``now``; None: there is none.

        Raises:
            ValueError: One of them never comes.
        """
        slots = (schedule.due(after, now).slot for schedule in self.schedules)
        return max((slot for slot in slots if slot is not None), default=None)

    def next(self, after: datetime.datetime, now: datetime.datetime) -> datetime.datetime:
        """Return the first time later than ``now``.

        Args:
            after: From which ``@every`` counts.
            now: The time.

        Raises:
            ValueError: One of them never comes.
        """
        return min(_next(schedule, after, now) for schedule in self.schedules)


def _next(
    schedule: Schedule, after: datetime.datetime, now: datetime.datetime
) -> datetime.datetime:
    if not schedule.every_seconds:
        return schedule.next(now)
    return schedule.next(schedule.due(after, now).slot or after)


def in_time(slot: datetime.datetime, now: datetime.datetime, spec: CronWorkflowSpec) -> bool:
    """Tell whether a time may still be made up for."""
    allowed = max(spec.starting_deadline_seconds or 0, GRACE_SECONDS)
    return (now - slot).total_seconds() <= allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a CronWorkflow is.

    Attributes:
        last: The last time that was run.
        counts_from: Since when times count.
        active: References to its workflows that go on, or are not counted yet.
        succeeded: How many have.
        failed: How many have.
        stopped: Whether it makes no more.
        errors: What is wrong, by type of condition.
    """

    last: datetime.datetime | None
    counts_from: datetime.datetime
    active: tuple[Object, ...] = ()
    succeeded: int = 0
    failed: int = 0
    stopped: bool = False
    errors: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, cron: Object) -> "Progress":
        """Read it."""
        status: Mapping[str, Any] = cron.get("status") or {}
        last = status.get("lastScheduledTime")
        since = metadata.annotations(cron).get(COUNTS_FROM_ANNOTATION)
        created = cron["metadata"]["creationTimestamp"]
        return cls(
            last=metadata.parse_time(last) if last else None,
            counts_from=metadata.parse_time(since or created),
            active=tuple(status.get("active") or ()),
            succeeded=int(status.get("succeeded") or 0),
            failed=int(status.get("failed") or 0),
            stopped=status.get("phase") == STOPPED,
            errors={
                each.get("type", ""): each.get("message", "")
                for each in status.get("conditions") or ()
            },
        )

    @property
    def after(self) -> datetime.datetime:
        """Times that count are later."""
        return max(self.last, self.counts_from) if self.last else self.counts_from

    def seeing(self, workflows: Iterable[Object]) -> "Progress":
        """Return how far it is, given its workflows, of which one may not have been noted."""
        every = {metadata.uid(each): each for each in workflows}
        known = {each.get("uid") for each in self.active}
        active = list(self.active)
        last = self.last
        for uid, workflow in every.items():
            slot = slot_of(workflow)
            new = slot is not None and (self.last is None or slot > self.last)
            if uid not in known and (new or not is_ended(workflow)):
                active.append(reference(workflow))
            if new:
                last = max(last, slot) if last and slot else slot
        ended = [each for each in active if is_ended(every.get(each.get("uid", "")) or {})]
        phases = [_phase(every[each["uid"]]) for each in ended]
        return dataclasses.replace(
            self,
            last=last,
            active=tuple(each for each in active if each.get("uid") in every and each not in ended),
            succeeded=self.succeeded + phases.count("Succeeded"),
            failed=self.failed + sum(phase != "Succeeded" for phase in phases),
        )

    def with_error(self, kind: str, message: str) -> "Progress":
        """Return it with something wrong; empty: with that no longer."""
        left = {name: each for name, each in self.errors.items() if name != kind}
        return dataclasses.replace(self, errors={**left, **({kind: message} if message else {})})

    def to_dict(self) -> Object:
        """Return `status`."""
        last = {"lastScheduledTime": metadata.format_time(self.last)} if self.last else {}
        return {
            **last,
            "active": [*self.active],
            "conditions": [
                {"type": kind, "status": "True", "message": message}
                for kind, message in sorted(self.errors.items())
            ],
            "succeeded": self.succeeded,
            "failed": self.failed,
            "phase": STOPPED if self.stopped else ACTIVE,
        }


def reference(workflow: Object) -> Object:
    """Return a reference to a workflow."""
    return {
        "kind": kinds.WORKFLOWS.kind,
        "apiVersion": kinds.API_VERSION,
        "namespace": metadata.namespace(workflow),
        "name": metadata.name(workflow),
        "uid": metadata.uid(workflow),
    }


def _phase(workflow: Object) -> str:
    return str((workflow.get("status") or {}).get("phase") or "")


def is_ended(workflow: Object) -> bool:
    """Tell whether a workflow has ended."""
    return _phase(workflow) in _ENDED


def slot_of(workflow: Object) -> datetime.datetime | None:
    """Return the time that a workflow is for; None: it was made for another reason."""
    if kinds.BACKFILL_LABEL in metadata.labels(workflow):
        return None
    text = metadata.annotations(workflow).get(kinds.SCHEDULED_TIME_ANNOTATION)
    try:
        return metadata.parse_time(text) if text else None
    except ValueError:
        return None


def beyond(
    workflows: Iterable[Object], spec: CronWorkflowSpec, state: Progress
) -> Sequence[Object]:
    """Return the workflows that have ended and are more than are kept, oldest first."""
    active = {each.get("uid") for each in state.active}
    ended = [each for each in workflows if is_ended(each) and metadata.uid(each) not in active]
    ended.sort(key=lambda each: str(each["status"].get("finishedAt") or ""))
    good = [each for each in ended if _phase(each) == "Succeeded"]
    bad = [each for each in ended if _phase(each) != "Succeeded"]
    kept_good, kept_bad = spec.successful_jobs_history_limit, spec.failed_jobs_history_limit
    return [
        *_but(good, KEPT_SUCCESSFUL if kept_good is None else kept_good),
        *_but(bad, KEPT_FAILED if kept_bad is None else kept_bad),
    ]


def _but(ended: Sequence[Object], kept: int) -> Sequence[Object]:
    return ended[: max(len(ended) - kept, 0)]


def variables(cron: Object, state: Progress) -> dict[str, Any]:
    """Return what ``when`` and ``stopStrategy`` may ask about."""
    labels, annotations = metadata.labels(cron), metadata.annotations(cron)
    return {
        "cronworkflow.name": metadata.name(cron),
        "cronworkflow.namespace": metadata.namespace(cron),
        "cronworkflow.labels.json": _json(labels),
        "cronworkflow.annotations.json": _json(annotations),
        "cronworkflow.lastScheduledTime": state.last,
        "cronworkflow.failed": state.failed,
        "cronworkflow.succeeded": state.succeeded,
        **{f"cronworkflow.labels.{name}": value for name, value in labels.items()},
        **{f"cronworkflow.annotations.{name}": value for name, value in annotations.items()},
    }


def _json(value: Mapping[str, str]) -> str:
    return json.dumps(dict(value), sort_keys=True)

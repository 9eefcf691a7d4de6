"""Follows requests from their first line to their last and tells the audit log of each stage."""

import datetime
from collections.abc import Callable
from typing import Any

import orjson

from wherry.apiserver.audit.events import Audited, event
from wherry.apiserver.audit.log import AuditLog
from wherry.apiserver.audit.policy import METADATA_ONLY, Level, Policy, Subject

Clock = Callable[[], datetime.datetime]
_MAX_BODY_BYTES = 3 * 1024 * 1024


class Auditor:
    """Decides what is told, and tells it.

    Args:
        log: Where to.
        policy: How much.
        clock: Current time, aware.
    """

    def __init__(self, log: AuditLog, policy: Policy | None, clock: Clock) -> None:
        self.log = log
        self._policy = policy or METADATA_ONLY
        self._clock = clock

    def begin(self, subject: Subject, **about: Any) -> Audited | None:
        """Take in a request; return None where nothing of it is kept.

        Args:
            subject: Who asks for what.
            about: Further fields of `Audited`.
        """
        decision = self._policy.decide(subject)
        if decision.level is Level.NONE:
            return None
        audited = Audited(subject=subject, decision=decision, received=self._clock(), **about)
        self._tell(audited, "RequestReceived")
        return audited

    def started(self, audited: Audited) -> None:
        """Tell that a stream has begun; its end is told by `finish`."""
        audited.code = 200
        self._tell(audited, "ResponseStarted")

    def finish(self, audited: Audited, code: int, body: bytes) -> None:
        """Tell how a request ended.

        Args:
            audited: The request.
            code: HTTP status.
            body: The answer's JSON; empty for streams.
        """
        audited.code = code
        failed = code >= 400
        if failed or audited.decision.level >= Level.REQUEST_RESPONSE:
            answer = _decoded(body)
            if failed and isinstance(answer, dict):
                audited.reason = str(answer.get("reason", ""))
                # A message may quote what was sent.
                secret = audited.decision.level <= Level.METADATA
                audited.message = "" if secret else str(answer.get("message", ""))
            audited.answer = answer
        self._tell(audited, "ResponseComplete")

    def _tell(self, audited: Audited, stage: str) -> None:
        if stage not in audited.decision.omit_stages:
            self.log.write(event(audited, stage, self._clock()))


def _decoded(body: bytes) -> Any:
    if not body or len(body) > _MAX_BODY_BYTES or body[:1] not in b"{[":
        return None
    try:
        return orjson.loads(body)
    except ValueError:
        return None

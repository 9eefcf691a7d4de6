"""Events of `audit.k8s.io/v1`: what happened to one request, as JSON. No header is ever in one."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from wherry.apiserver.audit.policy import Decision, Level, Subject
from wherry.objects.requests import Object

_SECRET_FIELDS: Final = ("token", "access_token", "authorization", "password")
_MAX_URI: Final = 4096
_MAX_AGENT: Final = 512


@dataclass(slots=True)
class Audited:
    """One request under audit.

    Attributes:
        id: Of the request: the client has it as ``Audit-Id``.
        subject: Who asked for what.
        decision: What is kept.
        uri: Path and query as they were sent.
        agent: The client's ``User-Agent``.
        address: The client's.
        version: API version of the resource.
        impersonator: Who really asked, where that was another.
        received: When.
        body: What was sent, decoded.
        answer: What came back, decoded.
        code: HTTP status.
        reason: In words, for failures.
        message: In words, for failures.
    """

    id: str
    subject: Subject
    decision: Decision
    uri: str
    agent: str
    address: str
    version: str
    received: datetime.datetime
    impersonator: str = ""
    body: Any = None
    answer: Any = None
    code: int = 0
    reason: str = ""
    message: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)


def event(audited: Audited, stage: str, now: datetime.datetime) -> Object:
    """Return the event of one stage."""
    subject, decision = audited.subject, audited.decision
    made: Object = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": decision.level.title,
        "auditID": audited.id,
        "stage": stage,
        "requestURI": without_tokens(audited.uri)[:_MAX_URI],
        "verb": subject.verb,
        "user": _user(audited),
        "sourceIPs": [audited.address] if audited.address else [],
        "userAgent": audited.agent[:_MAX_AGENT],
        "requestReceivedTimestamp": _micro(audited.received),
        "stageTimestamp": _micro(now),
    }
    if audited.impersonator:
        made["impersonatedUser"] = {"username": subject.user.name, "groups": [*subject.user.groups]}
    if subject.resource:
        made["objectRef"] = _reference(audited)
    if audited.code:
        status: Object = {"metadata": {}, "code": audited.code}
        if audited.code >= 400:
            status |= {"status": "Failure", "reason": audited.reason, "message": audited.message}
        made["responseStatus"] = status
    if decision.level >= Level.REQUEST and audited.body is not None:
        made["requestObject"] = _shown(audited.body, decision)
    if (
        decision.level >= Level.REQUEST_RESPONSE
        and stage == "ResponseComplete"
        and audited.answer is not None
    ):
        made["responseObject"] = _shown(audited.answer, decision)
    if audited.annotations:
        made["annotations"] = dict(audited.annotations)
    return made


def without_tokens(uri: str) -> str:
    """Return a URI whose query has no credentials: browsers send them there for WebSockets."""
    path, mark, query = uri.partition("?")
    lowered = query.lower()
    if not mark or not any(word in lowered for word in _SECRET_FIELDS):
        return uri
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [
        (key, "***" if any(word in key.lower() for word in _SECRET_FIELDS) else value)
        for key, value in pairs
    ]
    return f"{path}?{urlencode(kept, safe='*')}"


def _user(audited: Audited) -> Object:
    user = audited.subject.user
    if audited.impersonator:
        return {"username": audited.impersonator}
    made: Object = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        made["uid"] = user.uid
    if user.extra:
        made["extra"] = {key: list(values) for key, values in user.extra.items()}
    return made


def _reference(audited: Audited) -> Object:
    subject = audited.subject
    plural, _, below = subject.resource.partition("/")
    found = {
        "resource": plural,
        "namespace": subject.namespace,
        "name": subject.name,
        "apiGroup": subject.group,
        "apiVersion": audited.version,
        "subresource": below,
    }
    return {key: value for key, value in found.items() if value}


def _shown(value: Any, decision: Decision) -> Any:
    if not decision.omit_managed_fields or not isinstance(value, dict):
        return value
    items = value.get("items")
    made = _without_managers(value)
    if isinstance(items, Sequence):
        made["items"] = [
            _without_managers(each) if isinstance(each, dict) else each for each in items
        ]
    return made


def _without_managers(value: Mapping[str, Any]) -> Object:
    made = dict(value)
    if isinstance(metadata := made.get("metadata"), dict):
        made["metadata"] = {key: each for key, each in metadata.items() if key != "managedFields"}
    return made


def _micro(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

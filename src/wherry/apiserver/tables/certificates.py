"""Rows of the ``certificates.k8s.io`` group."""

import datetime
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import AGE, NAME, Layout, column
from wherry.objects.requests import Object


def _condition(status: dict[str, Any]) -> str:
    kinds = {one.get("type") for one in status.get("conditions") or ()}
    parts = ["Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"]
    if "Failed" in kinds:
        parts.append("Failed")
    if status.get("certificate"):
        parts.append("Issued")
    return ",".join(parts)


def _request(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    return [
        obj["metadata"]["name"],
        texts.age(obj, now),
        spec.get("signerName") or texts.NONE,
        spec.get("username", ""),
        texts.NONE if seconds is None else texts.human_duration(seconds),
        _condition(obj.get("status") or {}),
    ]


TABLES = {
    "certificatesigningrequests.certificates.k8s.io": Layout(
        (
            NAME,
            AGE,
            column("SignerName", "Who is to sign."),
            column("Requestor", "Who asks."),
            column("RequestedDuration", "How long the certificate should last."),
            column("Condition", "What was decided."),
        ),
        _request,
    ),
}

"""Rows of the ``admissionregistration.k8s.io`` group."""

import datetime
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import Layout, column, named
from wherry.objects.requests import Object

_GROUP = "admissionregistration.k8s.io"


def _webhooks(obj: Object, now: datetime.datetime) -> list[Any]:
    return [len(obj.get("webhooks") or ())]


def _param_kind(obj: Object) -> str:
    kind = (obj.get("spec") or {}).get("paramKind")
    return f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else texts.UNSET


def _policy(rules: str, heading: str) -> Layout:
    def row(obj: Object, now: datetime.datetime) -> list[Any]:
        return [len((obj.get("spec") or {}).get(rules) or ()), _param_kind(obj)]

    return named(
        column(heading, "Number of its rules.", kind="integer"),
        column("ParamKind", "Kind of the objects that parameterize it."),
        cells_of=row,
    )


def _param_name(reference: dict[str, Any] | None) -> str:
    if not reference:
        return texts.UNSET
    if reference.get("name"):
        return f"{reference.get('namespace') or '*'}/{reference['name']}"
    return texts.selector_text(reference.get("selector")) or texts.UNSET


def _binding(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    return [spec.get("policyName", ""), _param_name(spec.get("paramRef"))]


_WEBHOOKS = named(column("Webhooks", "Number of its webhooks.", kind="integer"), cells_of=_webhooks)
_BINDING = named(
    column("PolicyName", "Name of the policy."),
    column("ParamRef", "Object that parameterizes it."),
    cells_of=_binding,
)

TABLES = {
    f"mutatingwebhookconfigurations.{_GROUP}": _WEBHOOKS,
    f"validatingwebhookconfigurations.{_GROUP}": _WEBHOOKS,
    f"validatingadmissionpolicies.{_GROUP}": _policy("validations", "Validations"),
    f"mutatingadmissionpolicies.{_GROUP}": _policy("mutations", "Mutations"),
    f"validatingadmissionpolicybindings.{_GROUP}": _BINDING,
    f"mutatingadmissionpolicybindings.{_GROUP}": _BINDING,
}

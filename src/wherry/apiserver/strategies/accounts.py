"""Roles, bindings, and who is asking for a certificate.

Source: ``pkg/apis/rbac/v1/defaults.go``, ``pkg/apis/rbac/validation``, ``pkg/registry/certificates``.
"""

import base64
from typing import Any

from cryptography import x509

from wherry.apiserver.strategies import causes, workloads
from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context
from wherry.objects import names
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

GROUP = "rbac.authorization.k8s.io"

_MIN_CERTIFICATE_SECONDS = 600


def _default_binding(obj: Object) -> None:
    role = obj.get("roleRef")
    if role is not None:
        role["apiGroup"] = role.get("apiGroup") or GROUP
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in {"User", "Group"}:
            subject["apiGroup"] = subject.get("apiGroup") or GROUP


def _validate_binding(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    role = obj.get("roleRef") or {}
    found: list[Cause] = []
    if role.get("apiGroup") != GROUP:
        found += [causes.unsupported("roleRef.apiGroup", role.get("apiGroup"), [GROUP])]
    namespaced = obj.get("kind") == "RoleBinding"
    accepted = {"Role", "ClusterRole"} if namespaced else {"ClusterRole"}
    if role.get("kind") not in accepted:
        found.append(causes.unsupported("roleRef.kind", role.get("kind"), accepted))
    if not role.get("name"):
        found.append(causes.required("roleRef.name"))
    else:
        problems = names.path_segment(role["name"])
        found += causes.problems("roleRef.name", role["name"], problems)
    for index, subject in enumerate(obj.get("subjects") or ()):
        found += _subject(f"subjects[{index}]", subject, namespaced=namespaced)
    if old is not None and role != old.get("roleRef"):
        found.append(causes.invalid("roleRef", role, "cannot change roleRef"))
    return found


_SUBJECT_GROUPS = {"ServiceAccount": "", "User": GROUP, "Group": GROUP}


def _subject(path: str, subject: dict[str, Any], *, namespaced: bool) -> list[Cause]:
    kind, name = subject.get("kind"), subject.get("name", "")
    found = [] if name else [causes.required(f"{path}.name")]
    if kind not in _SUBJECT_GROUPS:
        return [*found, causes.unsupported(f"{path}.kind", kind, _SUBJECT_GROUPS)]
    group = subject.get("apiGroup") or ""
    if group != _SUBJECT_GROUPS[kind]:
        found.append(causes.unsupported(f"{path}.apiGroup", group, [_SUBJECT_GROUPS[kind]]))
    if kind == "ServiceAccount":
        found += causes.problems(f"{path}.name", name, names.dns_subdomain(name)) if name else []
        # In a RoleBinding it is the binding's own.
        if not namespaced and not subject.get("namespace"):
            found.append(causes.required(f"{path}.namespace"))
    return found


def _rules(obj: Object, *, namespaced: bool) -> list[Cause]:
    found: list[Cause] = []
    for index, rule in enumerate(obj.get("rules") or ()):
        where = f"rules[{index}]"
        if not rule.get("verbs"):
            why = "verbs must contain at least one value"
            found.append(causes.required(f"{where}.verbs", why))
        paths = rule.get("nonResourceURLs")
        if paths and namespaced:
            why = "namespaced rules cannot apply to non-resource URLs"
            found.append(causes.invalid(f"{where}.nonResourceURLs", paths, why))
        elif paths:
            if any(rule.get(part) for part in ("apiGroups", "resources", "resourceNames")):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                found.append(causes.invalid(f"{where}.nonResourceURLs", paths, why))
        elif not rule.get("apiGroups") or not rule.get("resources"):
            missing = "resources" if rule.get("apiGroups") else "apiGroups"
            why = f"resource rules must supply at least one {'resource' if missing == 'resources' else 'api group'}"
            found.append(causes.required(f"{where}.{missing}", why))
    return found


def _validate_role(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    return _rules(obj, namespaced=True)


def _validate_cluster_role(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    found = _rules(obj, namespaced=False)
    aggregation = obj.get("aggregationRule")
    if aggregation is not None:
        where = "aggregationRule.clusterRoleSelectors"
        chosen = aggregation.get("clusterRoleSelectors") or []
        if not chosen:
            why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
            found.append(causes.required(where, why))
        for index, selector in enumerate(chosen):
            found += workloads.check_selector_form(f"{where}[{index}]", selector)
    return found


def _create_request(obj: Object, context: Context) -> None:
    # Who asks is told by the connection, never by the object.
    spec, user = obj["spec"], context.user
    for name in ("uid", "groups", "extra"):
        spec.pop(name, None)
    spec["username"] = user.name
    if user.uid:
        spec["uid"] = user.uid
    if user.groups:
        spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra.items()}


def _update_request(obj: Object, old: Object, context: Context) -> None:
    obj["spec"] = old["spec"]


def _default_request(obj: Object) -> None:
    spec = obj.get("spec") or {}
    if spec.get("usages") is None:
        spec["usages"] = ["digital signature", "key encipherment"]


def _validate_request(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    spec = obj.get("spec") or {}
    if old is not None:
        return []
    found = [causes.required(f"spec.{n}") for n in ("usages", "signerName") if not spec.get(n)]
    signer = spec.get("signerName") or ""
    if signer and "/" not in signer:
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        found.append(causes.invalid("spec.signerName", signer, why))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _MIN_CERTIFICATE_SECONDS:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        found.append(causes.invalid("spec.expirationSeconds", seconds, why))
    try:
        x509.load_pem_x509_csr(base64.b64decode(spec.get("request") or ""))
    except ValueError as error:
        found.append(causes.invalid("spec.request", spec.get("request"), str(error)))
    return found


def _request_fields(obj: Object) -> dict[str, str]:
    return {"spec.signerName": str((obj.get("spec") or {}).get("signerName") or "")}


STRATEGIES = {
    f"roles.{GROUP}": Rules(on_validate=_validate_role),
    f"clusterroles.{GROUP}": Rules(on_validate=_validate_cluster_role),
    f"rolebindings.{GROUP}": Rules(on_default=_default_binding, on_validate=_validate_binding),
    f"clusterrolebindings.{GROUP}": Rules(
        on_default=_default_binding, on_validate=_validate_binding
    ),
    "certificatesigningrequests.certificates.k8s.io": Rules(
        on_default=_default_request,
        on_create=_create_request,
        on_update=_update_request,
        on_validate=_validate_request,
        fields=_request_fields,
    ),
}

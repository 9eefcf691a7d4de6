"""CustomResourceDefinitions that are not served. Pure."""

from wherry.cli.why.finding import Finding, fine
from wherry.cli.why.look import Look
from wherry.objects import conditions

_MENDS = {
    "NamesAccepted": "choose other spec.names (plural, singular, shortNames, kind), or delete the "
    "definition that has them",
    "NonStructuralSchema": "every field of openAPIV3Schema needs a type, and may not be described "
    "within allOf, anyOf, oneOf or not",
    "KubernetesAPIApprovalPolicyConformant": "groups below k8s.io need the annotation "
    "api-approved.kubernetes.io",
}


def look(look: Look) -> Finding:
    """Return why a definition is not established."""
    for kind, bad in (
        ("NamesAccepted", "False"),
        ("NonStructuralSchema", "True"),
        ("KubernetesAPIApprovalPolicyConformant", "False"),
    ):
        condition = conditions.get(look.obj, kind)
        if condition is not None and condition.get("status") == bad:
            said = str(condition.get("message") or condition.get("reason") or "")
            return Finding(look.name, f"{kind} is {bad}", evidence=(said,), mend=_MENDS[kind])
    if conditions.is_true(look.obj, "Established"):
        served = [each["name"] for each in look.spec.get("versions") or [] if each.get("served")]
        return fine(look.name, f"is established and serves {', '.join(served) or 'no version'}")
    condition = conditions.get(look.obj, "Established") or {}
    said = str(condition.get("message") or "the API server has not looked at it yet")
    return Finding(look.name, "is not established", "waiting", (said,))

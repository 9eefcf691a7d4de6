"""Namespaces that do not go. Pure."""

from wherry.cli.why.finding import Finding, fine
from wherry.cli.why.look import Look
from wherry.objects import conditions, metadata

_REMAINING = ("NamespaceContentRemaining", "NamespaceFinalizersRemaining")
_FAILURES = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
)


def look(look: Look) -> Finding:
    """Return what a terminating namespace waits for."""
    if not metadata.is_deleting(look.obj):
        return fine(look.name, "is active")
    told = []
    for kind in (*_FAILURES, *_REMAINING):
        condition = conditions.get(look.obj, kind)
        if condition is not None and condition.get("status") == "True":
            told.append(str(condition.get("message") or condition.get("reason")))
    name = metadata.name(look.obj)
    finalizers = look.spec.get("finalizers") or []
    others = [each for each in finalizers if each != "kubernetes"]
    if others:
        told.append(f"its spec.finalizers: {', '.join(others)}")
    return Finding(
        look.name,
        "is being deleted; nothing can be created in it, and it goes when it is empty",
        "waiting",
        tuple(told),
        mend=f"see what is left and what holds it: wherry get all -n {name}; objects with finalizers "
        "wait for the program that set them (`wherry why KIND/NAME` names it)"
        if told
        else "",
    )

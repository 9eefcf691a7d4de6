"""What a user may leave out of a run. Pure."""

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import kinds


def default(run: Object) -> Object:
    """Return a run with what its author left out."""
    spec = {"failurePolicy": kinds.FAIL_SLOW, "suspend": False, "terminate": False}
    given = {name: value for name, value in (run.get("spec") or {}).items() if value is not None}
    spec |= given
    spec.setdefault("displayName", metadata.name(run))
    if not spec["displayName"]:
        del spec["displayName"]
    return {**run, "spec": spec}

"""What a trial runs stays until its end has been seen, and its pods until they have been read. Pure.

Objects that clear themselves away (a Job with a time to live, a Workflow that removes its pods) would
else be gone, with what they have to say, whenever that is quicker than whoever looks at them. A
finalizer holds them; where nothing but a user removes them there is none, for each costs writes.
"""

import datetime
from typing import Final

from wherry.objects import metadata
from wherry.objects.requests import Object

FINALIZER: Final = "wherry.dev/trial"
GRACE_SECONDS: Final = 30.0
"""How long after its deletion a pod is held at most that nobody has read to its end."""

_LASTING: Final = frozenset({("", "Pod"), ("batch", "Job")})


def is_needed(run: Object) -> bool:
    """Return whether something of its own may remove an object, or its pods, when it has ended.

    Args:
        run: What a trial runs.
    """
    group, _, _ = str(run.get("apiVersion", "")).rpartition("/")
    if group == "apps":
        return False
    if (group, run.get("kind")) not in _LASTING:
        return True  # its pods are others' business: how long they stay is not known
    return (run.get("spec") or {}).get("ttlSecondsAfterFinished") is not None


def hold(obj: Object) -> None:
    """Have an object, or the pods of a template, bear the finalizer, in place."""
    fields = obj.setdefault("metadata", {})
    held = fields.get("finalizers") or []
    if FINALIZER not in held:
        fields["finalizers"] = [*held, FINALIZER]


def is_overdue(pod: Object, now: datetime.datetime) -> bool:
    """Return whether a pod that is being deleted has been held for long enough."""
    deleted = pod["metadata"].get("deletionTimestamp")
    if not deleted:
        return False
    return (now - metadata.parse_time(str(deleted))).total_seconds() > GRACE_SECONDS

"""Who owns which field of an object: server-side apply, and what every other write does to it.

Pure: objects, schemas and the time come in, objects and entries of `metadata.managedFields` go out.
The semantics are those of structured-merge-diff v6 and `apimachinery/pkg/util/managedfields`.
"""

from wherry.objects.managed_fields.applying import apply
from wherry.objects.managed_fields.conflicts import Conflict, FieldConflictsError
from wherry.objects.managed_fields.fields import Fields
from wherry.objects.managed_fields.managers import (
    EntriesError,
    Identity,
    Manager,
    Managers,
    decode,
    encode,
    is_reset,
    same_but_times,
)
from wherry.objects.managed_fields.reading import TypingError, to_fields
from wherry.objects.managed_fields.tracking import create, update
from wherry.objects.managed_fields.views import View, Write

__all__ = [
    "Conflict",
    "EntriesError",
    "FieldConflictsError",
    "Fields",
    "Identity",
    "Manager",
    "Managers",
    "TypingError",
    "View",
    "Write",
    "apply",
    "create",
    "decode",
    "encode",
    "is_reset",
    "same_but_times",
    "to_fields",
    "update",
]

"""Where what is wrong is written down."""

from wherry.objects.errors import Cause
from wherry.pipelines.ir.reading import MOST_CAUSES

REQUIRED = "FieldValueRequired"
DUPLICATE = "FieldValueDuplicate"
UNSUPPORTED = "FieldValueNotSupported"
FORBIDDEN = "FieldValueForbidden"
INVALID = "FieldValueInvalid"


class Findings:
    """What is wrong with a workflow.

    Attributes:
        causes: At most `MOST_CAUSES`, each place once.
    """

    def __init__(self) -> None:
        self.causes: list[Cause] = []
        self._said: set[tuple[str, str]] = set()

    def add(self, field: str, message: str, reason: str = INVALID) -> None:
        """Write down what is wrong with a field."""
        if (field, message) in self._said or len(self.causes) >= MOST_CAUSES:
            return
        self._said.add((field, message))
        self.causes.append(Cause(field, message, reason))

"""Types of single values in workflows, and what their messages say of their own fields."""

from collections.abc import Mapping
from typing import Any, NewType

Object = Mapping[str, Any]
"""A part that stays JSON."""

AnyText = NewType("AnyText", str)
"""A text, or any other JSON value as one: 5 is "5", true is "true"."""

IntOrText = NewType("IntOrText", str)
"""A whole number, or a text that gives one once its variables are filled in."""

Groups = tuple[tuple[str, ...], ...]
"""Fields of which at most one may be given."""

Names = Mapping[str, str]
"""JSON names of fields whose names in camelCase are others."""

"""Keywords of a definition's schema that decide what serving it takes. Pure."""

from typing import Any, Final

RULES: Final = "x-kubernetes-validations"
DEFAULT: Final = "default"


def uses(schema: Any, keyword: str) -> bool:
    """Return whether a keyword stands anywhere in a schema; a field of that name counts as well.

    Args:
        schema: A structural schema, or a part of one.
        keyword: One of the constants of this module.
    """
    if isinstance(schema, list):
        return any(uses(each, keyword) for each in schema)
    if not isinstance(schema, dict):
        return False
    return bool(keyword in schema) or any(uses(each, keyword) for each in schema.values())

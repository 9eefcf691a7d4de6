"""Regular expressions of expressions and conditions, and the texts that they may see."""

from typing import Any

from wherry.objects.cel.library import texts
from wherry.objects.cel.values import CelError
from wherry.pipelines.workflows.expr.errors import ExprError


def compiled(pattern: str, content: str) -> Any:
    """Return a regular expression that is to be looked for in a text.

    Raises:
        ExprError: It is none, or the text is too long.
    """
    if len(content) > texts.MAX_MATCHED:
        raise ExprError(f"a text longer than {texts.MAX_MATCHED} characters is not matched")
    try:
        return texts.regular_expression(pattern)
    except CelError as error:
        raise ExprError(f"{pattern[:100]!r} is no regular expression: {error}") from error

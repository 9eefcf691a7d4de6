"""A text that has to be one document of YAML or JSON."""

import itertools
from typing import Any

from wherry.objects import documents
from wherry.pipelines.steps.draft import StepError


def read(text: str, where: str) -> Any:
    """Return what a text holds; None: nothing.

    Raises:
        StepError: it is neither YAML nor JSON, too large, or more than one.
    """
    found = [*itertools.islice(documents.read(text), 2)]
    for each in found:
        if isinstance(each, documents.DocumentError):
            raise StepError(f"{where} is neither YAML nor JSON: {each}")
    if len(found) > 1:
        raise StepError(f"{where} holds several documents; want one")
    return found[0] if found else None

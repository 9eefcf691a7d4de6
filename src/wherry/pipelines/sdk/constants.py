"""Values that are written down in a pipeline, with outputs to come in them."""

from collections.abc import Mapping
from typing import Any

from wherry.pipelines.sdk import channels
from wherry.pipelines.sdk.channels import Channel
from wherry.pipelines.sdk.errors import CompileError


def known(given: Any) -> Any:
    """Return a setting that may not depend on what is known only when the pipeline runs.

    Raises:
        CompileError: It does.
    """
    used = channels.in_text(given) if isinstance(given, str) else [given]
    for each in used:
        if isinstance(each, Channel):
            raise CompileError(f"{each.name} has no value yet, but this setting must be known")
    return given


def constant(value: Any) -> tuple[Any, list[Channel]]:
    """Return a value with placeholders, and what they stand for."""
    if isinstance(value, Channel):
        value = str(value)
    if isinstance(value, str):
        return channels.with_placeholders(value), channels.in_text(value)
    if isinstance(value, list | tuple):
        parts = [constant(each) for each in value]
        return [each for each, _ in parts], [one for _, used in parts for one in used]
    if isinstance(value, Mapping):
        pairs = {key: constant(each) for key, each in value.items()}
        return {key: each for key, (each, _) in pairs.items()}, [
            one for _, used in pairs.values() for one in used
        ]
    if value is not None:
        channels.kind_of([value])  # refuses what JSON does not know
    return value, []

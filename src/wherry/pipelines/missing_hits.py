"""In what a step differs from the same step of an earlier run, whose result it could have had. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.metadata.records import CACHE_KEY, SUCCEEDED, Artifact, Execution
from wherry.pipelines.caching import NONE, OFF, PARTS

_WORDS: Final = {
    "image": "the image differs",
    "command": "the command differs",
    "claims": "the mounted claims differ",
    "outputs": "what it is to give differs",
}


def differences(now: Execution, before: Execution) -> list[str]:
    """Return why the result of the earlier one was not taken, in words; none: that is not known.

    Args:
        now: The one that ran, with its artifacts.
        before: The earlier one, with its artifacts.
    """
    if before.state != SUCCEEDED:
        return [f"it was {before.state.lower() or 'not begun'} there"]
    found = [*_differences(now, before)]
    return found or [*_lost(now, before)]


def _lost(now: Execution, before: Execution) -> Iterator[str]:
    """Yield why the result of one that was the same could not be had."""
    if before.cache_reason == OFF:
        yield "the cache was off there"
    elif before.ended > now.started:
        yield "it had not ended there"
    elif not before.fingerprint or (before.cached_from and now.cache_reason == NONE):
        yield "its result was cleared"


def _differences(now: Execution, before: Execution) -> Iterator[str]:
    own, other = (str(each.properties.get(CACHE_KEY, "")) for each in (now, before))
    if own or other:
        if own != other:
            yield f"key {own or 'none'} was {other or 'none'}"
        return
    for name in _changed(now.inputs.parameters, before.inputs.parameters):
        yield f"parameter {name} differs"
    for name in _changed(_ids(now.inputs.artifacts), _ids(before.inputs.artifacts)):
        yield f"artifact {name} differs"
    parts, earlier = (each.properties.get(PARTS) or {} for each in (now, before))
    if parts and earlier:
        for name in _changed(parts, earlier):
            yield _WORDS.get(name, name)


def _changed(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    missing = object()
    names = sorted({*now, *before})
    return [each for each in names if now.get(each, missing) != before.get(each, missing)]


def _ids(artifacts: Mapping[str, tuple[Artifact, ...]]) -> dict[str, list[int]]:
    return {name: [each.id for each in listed] for name, listed in artifacts.items()}

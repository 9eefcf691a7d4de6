"""By what the results of a step are found again: upstream's fingerprint. Pure.

Source: kubeflow/pipelines 2.17, ``backend/src/v2/driver/cache.go`` and ``backend/src/v2/cacheutils``.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.metadata.records import CACHE_KEY
from wherry.pipelines import values
from wherry.pipelines.steps.order import Order

PARTS: Final = "cacheParts"
"""Property of a row: digests of the parts of its fingerprint that are not among its inputs."""
OFF: Final = "off"
"""The reason why a result is neither looked for nor kept to be found: nobody wants it."""
NONE: Final = "no earlier result has this fingerprint"
"""The reason why a result was looked for in vain, where nothing more is known."""
_SHORT: Final = 16


def fingerprint(order: Order, told: Mapping[str, Any], claims: Sequence[str]) -> str:
    """Return the fingerprint of a step.

    Args:
        order: The step.
        told: Its executor input, without its pod's settings.
        claims: Names of the claims that it mounts.
    """
    own = order.task.caching_options.cache_key
    if own:
        # With the component's name, so that a key may be used for several components.
        return hashlib.sha256(f"{order.task.component_ref.name}\0{own}".encode()).hexdigest()
    return digest(_without_empty(_key(order, told, claims)))


def notes(order: Order, told: Mapping[str, Any], claims: Sequence[str]) -> dict[str, Any]:
    """Return what is kept beside a fingerprint, so that it can be said in what two steps differ.

    Their inputs are kept anyway. Arguments are those of `fingerprint`.
    """
    key = _key(order, told, claims)
    container = key["containerSpec"]
    made = {
        "image": container["image"],
        "command": container["cmdArgs"],
        "claims": container["pvcNames"],
        "outputs": [key["outputArtifactsSpec"], key["outputParametersSpec"]],
    }
    own = order.task.caching_options.cache_key
    return {
        PARTS: {name: digest({"": value})[:_SHORT] for name, value in made.items()},
        **({CACHE_KEY: own} if own else {}),
    }


def _key(order: Order, told: Mapping[str, Any], claims: Sequence[str]) -> dict[str, Any]:
    container, component = order.container, order.component
    return {
        "inputArtifactNames": {
            name: {"artifactNames": [each["name"] for each in listed["artifacts"]]}
            for name, listed in told["inputs"]["artifacts"].items()
        },
        "inputParameterValues": dict(told["inputs"]["parameterValues"]),
        "outputArtifactsSpec": {
            name: {field: each for field, each in listed["artifacts"][0].items() if field != "uri"}
            for name, listed in told["outputs"]["artifacts"].items()
        },
        "outputParametersSpec": {
            name: str(values.type_of(parameter))
            for name, parameter in component.output_definitions.parameters.items()
        },
        "containerSpec": {
            "image": container.image,
            "cmdArgs": [*container.command, *container.args],
            "pvcNames": sorted(set(claims)),
        },
    }


def digest(key: Mapping[str, Any]) -> str:
    """Return the fingerprint of a cache key, in the protocol's JSON form without what is empty."""
    text = json.dumps(_plain(key), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        # As Go's encoder does, whose text upstream hashes.
        text = text.replace(character, f"\\u{ord(character):04x}")
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Return a value with whole numbers as such: the protocol knows but one kind of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _without_empty(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the JSON form of protocol buffers has: empty lists, maps and texts are left out."""
    container = {name: value for name, value in key["containerSpec"].items() if value}
    outputs = {
        name: {field: value for field, value in each.items() if value}
        for name, each in key["outputArtifactsSpec"].items()
    }
    made = {**key, "containerSpec": container, "outputArtifactsSpec": outputs}
    return {name: value for name, value in made.items() if value}

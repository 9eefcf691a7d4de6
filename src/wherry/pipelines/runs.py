"""Runs as objects, made from compiled pipelines. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.objects.requests import Object
from wherry.pipelines import kinds, values
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir.documents import Documents

_NAME_LENGTH: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a pipeline is to be run with.

    Attributes:
        parameters: By name.
        root: Where artifacts go; empty: as the pipeline or the namespace says.
        cache: Whether earlier results are taken; None: as compiled.
        cache_expiry: Seconds after which a result is too old to be taken; None: never.
        display_name: What people call the run.
        service_account: Of its pods.
        timeout: Seconds after which it fails.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    root: str = ""
    cache: bool | None = None
    cache_expiry: int | None = None
    display_name: str = ""
    service_account: str = ""
    timeout: int | None = None


def manifest(documents: Documents, wish: Wish, *, name: str, namespace: str) -> Object:
    """Return the run of a compiled pipeline."""
    config = {"parameters": dict(wish.parameters), "pipelineRoot": wish.root}
    fields = {
        "pipelineSpec": dict(documents.spec),
        "platformSpec": dict(documents.platform or {}),
        "runtimeConfig": {key: value for key, value in config.items() if value},
        "enableCache": wish.cache,
        "cacheExpirySeconds": wish.cache_expiry,
        "displayName": wish.display_name,
        "serviceAccountName": wish.service_account,
        "timeoutSeconds": wish.timeout,
    }
    return {
        "apiVersion": kinds.PIPELINE_RUNS.api_version,
        "kind": kinds.PIPELINE_RUNS.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {key: value for key, value in fields.items() if value not in (None, "", {})},
    }


def name_of(pipeline: str, unique: str) -> str:
    """Return a name for a run of a pipeline, such as ``train-and-serve-3f9a1``.

    Args:
        pipeline: The pipeline's name.
        unique: Differs each time.
    """
    words = re.sub(r"[^a-z0-9]+", "-", pipeline.lower()).strip("-")[:_NAME_LENGTH].rstrip("-")
    words = words if words[:1].isalpha() else f"run-{words}".rstrip("-")
    return f"{words}-{hashlib.sha256(unique.encode()).hexdigest()[:5]}"


def parameter(pipeline: Pipeline, name: str, text: str) -> Any:
    """Return the value of a parameter that was typed as text.

    Raises:
        ValueError: the pipeline has no such parameter, or the text is no value of its type.
    """
    definitions = pipeline.spec.root.input_definitions.parameters
    if name not in definitions:
        told = ", ".join(sorted(definitions)) or "none"
        raise ValueError(f"parameter {name}: the pipeline has no such one; it has {told}")
    try:
        return values.from_text(text, values.type_of(definitions[name]))
    except ValueError as error:
        raise ValueError(f"parameter {name}: {error}") from error


def shown(value: Any) -> str:
    """Return a value in one line, for people."""
    return value if isinstance(value, str) else json.dumps(value)

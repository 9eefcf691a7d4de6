"""Artifacts that are there already: made known, or found again. No pod is needed for it.

Source: kubeflow/pipelines 2.17, ``backend/src/v2/component/importer_launcher.go``.
"""

from collections.abc import Mapping
from typing import Any, Final

from wherry.metadata.artifacts import uris
from wherry.metadata.lists import Filter
from wherry.metadata.records import Artifact, Values
from wherry.metadata.store import Metadata
from wherry.objects import metadata
from wherry.pipelines import placeholders
from wherry.pipelines.ir.messages import ValueOrParameter
from wherry.pipelines.steps import executor_input
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.steps.order import Order

_OUTPUT: Final = "artifact"
_IN_WORKSPACE: Final = "_kfp_workspace"
_CANDIDATES: Final = 100


async def perform(store: Metadata, order: Order) -> Values:
    """Return the artifact of an importer: one that is known already, or a new one.

    Raises:
        StepError: the URI cannot be used.
        UnresolvedError: a placeholder asks for what there is not.
        MetadataError: the database cannot be asked.
    """
    importer = order.step.executor.importer
    assert importer is not None
    wanted = artifact(order)
    found = None if importer.reimport else await _known(store, wanted)
    return Values(artifacts={_output_name(order): (found or wanted,)})


def artifact(order: Order) -> Artifact:
    """Return the artifact that an importer speaks of.

    Raises:
        StepError: the URI cannot be used.
        UnresolvedError: a placeholder asks for what there is not.
    """
    importer = order.step.executor.importer
    assert importer is not None
    told = executor_input.make(order)
    context = executor_input.context(order, told)
    uri = _value(importer.artifact_uri, order)
    if not isinstance(uri, str) or not uri:
        raise StepError(f"artifactUri: {uri!r}: a URI is wanted")
    kept = placeholders.resolve_json(dict(importer.metadata), context)
    for group in (importer.properties, importer.custom_properties):
        kept |= {name: _value(source, order) for name, source in group.items()}
    if importer.download_to_workspace:
        kept[_IN_WORKSPACE] = True
    return Artifact(
        namespace=metadata.namespace(order.run),
        type=importer.type_schema.schema_title or "system.Artifact",
        name=_output_name(order),
        uri=uris.normal(uri),
        metadata=kept,
    )


async def _known(store: Metadata, wanted: Artifact) -> Artifact | None:
    chosen = Filter(namespace=wanted.namespace, type=wanted.type, uri=wanted.uri)
    page = await store.artifacts(chosen, limit=_CANDIDATES)
    return next((each for each in page.items if _same(each.metadata, wanted.metadata)), None)


def _same(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return dict(known) == dict(wanted)


def _value(source: ValueOrParameter, order: Order) -> Any:
    if source.runtime_parameter is not None:
        return order.inputs.parameters.get(source.runtime_parameter)
    if source.constant is not None:
        return executor_input.with_facts(source.constant.json, order.facts)
    old = source.constant_value
    if old is None:
        return None
    for each in (old.string_value, old.int_value, old.double_value):
        if each is not None:
            return each
    return None


def _output_name(order: Order) -> str:
    return next(iter(order.component.output_definitions.artifacts), _OUTPUT)

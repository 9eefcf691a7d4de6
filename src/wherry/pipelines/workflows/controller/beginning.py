"""A workflow that begins, or is read again after a restart: what it runs, with what it refers to."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from wherry.client.client import Client
from wherry.controller import apply
from wherry.controller.cache import Cache
from wherry.controller.manager import Manager
from wherry.metadata.records import Values
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import naming, workflow_runs
from wherry.pipelines.graph.walk import Walk
from wherry.pipelines.schedules import macros
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows import items, kinds, reading, scopes, variables
from wherry.pipelines.workflows.artifacts.repository import Repository
from wherry.pipelines.workflows.controller.engine import Looker, WorkflowEngine
from wherry.pipelines.workflows.language import WorkflowLanguage
from wherry.pipelines.workflows.messages import WorkflowSpec
from wherry.pipelines.workflows.scalars import AnyText
from wherry.pipelines.workflows.scopes import Scope
from wherry.pipelines.workflows.steps.working import Steps
from wherry.pipelines.workflows.templates import NodeError, Templates, Where, merged_json

MOST_NODES: Final = items.MOST


class Beginner:
    """Reads workflows."""

    def __init__(self, manager: Manager, steps: Steps) -> None:
        """Take what it works with.

        Args:
            manager: Gives client and caches.
            steps: Knows where artifacts go.
        """
        self._client: Client = manager.client
        self._steps = steps
        self._templates: Cache = manager.cache(kinds.WORKFLOW_TEMPLATES)
        self._cluster: Cache = manager.cache(kinds.CLUSTER_WORKFLOW_TEMPLATES)
        self._config_maps: Cache = manager.cache(core.CONFIG_MAPS)

    def config(self, namespace: str, name: str, key: str) -> str | None:
        """Return a value of a ConfigMap; None: there is none."""
        found = self._config_maps.get(namespace, name)
        value = (found or {}).get("data", {}).get(key)
        return None if value is None else str(value)

    async def engine(self, workflow: Object, run_id: str) -> WorkflowEngine:
        """Return a workflow as it begins.

        Args:
            workflow: Its object.
            run_id: By which its rows are found.

        Raises:
            PipelineError: it cannot be run as it is written.
            NodeError: what it refers to is not there.
            RootError: its artifacts have no place to go.
            StepError: likewise.
            ApiError: it cannot be asked.
        """
        written = self.spec(workflow)
        spec = reading.read_spec(written)
        repository = await self.repository(workflow)
        looker, language = self.language(workflow, spec)
        walk = Walk(
            language.graph,
            language,
            Values(),
            parallelism=spec.parallelism or 0,
            most_nodes=MOST_NODES,
        )
        engine = WorkflowEngine(run_id, language, walk, repository)
        looker.rows = engine.rows
        # It is known before anything is decided: `walk.root` would take the run further first.
        language.root = walk.bare_root
        return engine

    async def repository(self, workflow: Object) -> Repository:
        """Return where a workflow's artifacts go.

        Raises:
            NodeError: what it refers to is not there.
            RootError: they have no place to go.
            StepError: likewise.
            ApiError: it cannot be asked.
        """
        return await self._steps.repository(workflow, self.spec(workflow))

    def language(self, workflow: Object, spec: WorkflowSpec) -> tuple[Looker, WorkflowLanguage]:
        """Return what decides for a workflow.

        Raises:
            NodeError: something that it is given is not there.
        """
        namespace, name = metadata.namespace(workflow), metadata.name(workflow)
        stored = (workflow.get("status") or {}).get("storedTemplates") or {}
        templates = Templates(spec, self._finder(namespace), stored)
        looker = Looker(lambda config_map, key: self.config(namespace, config_map, key))
        parameters = self._parameters(spec, looker)
        if workflow_runs.is_run(workflow):
            parameters = macros.with_run_id(parameters, naming.run_id(workflow))
        given = scopes.of_workflow(workflow, spec, parameters)
        language = WorkflowLanguage(
            name=name, spec=spec, templates=templates, given=given, looking=looker
        )
        return looker, language

    def spec(self, workflow: Object) -> Object:
        """Return what a workflow runs, as JSON: its own spec over that of the template it refers to.

        Raises:
            NodeError: there is no such template.
        """
        own: Object = workflow["spec"]
        ref = own.get("workflowTemplateRef")
        if not ref:
            return own
        told = (workflow.get("status") or {}).get("storedWorkflowTemplateSpec")
        below = told or self._referred(metadata.namespace(workflow), ref)
        merged = merged_json(below, own)
        merged["arguments"] = _arguments(below.get("arguments"), own.get("arguments"))
        return {key: value for key, value in merged.items() if value is not None}

    def spec_or_own(self, workflow: Object) -> Object:
        """Return what a workflow runs; its own spec where what it refers to is gone."""
        try:
            return self.spec(workflow)
        except NodeError:
            own: Object = workflow["spec"]
            return own

    def _referred(self, namespace: str, ref: Mapping[str, Any]) -> Object:
        where = Where(str(ref.get("name")), bool(ref.get("clusterScope")))
        found = self._finder(namespace)(where)
        if found is None:
            kind = "ClusterWorkflowTemplate" if where.cluster else "WorkflowTemplate"
            raise NodeError(f"there is no {kind} {where.name!r}")
        return found

    def _finder(self, namespace: str) -> Callable[[Where], Object | None]:
        def find(where: Where) -> Object | None:
            cache = self._cluster if where.cluster else self._templates
            found = cache.get("" if where.cluster else namespace, where.name)
            return None if found is None else found.get("spec") or {}

        return find

    def _parameters(self, spec: WorkflowSpec, looker: Looker) -> dict[str, str]:
        found: dict[str, str] = {}
        for each in spec.arguments.parameters:
            value = each.value
            source = each.value_from
            if value is None and source is not None and source.config_map_key_ref is not None:
                ref = source.config_map_key_ref
                given = looker.config(str(ref.get("name")), str(ref.get("key")))
                value = AnyText(given) if given is not None else source.default
            if value is None:
                value = each.default
            if value is None:
                raise NodeError(
                    f"spec.arguments.{each.name}.value or spec.arguments.{each.name}.valueFrom is required"
                )
            found[each.name] = value
        return found

    async def claims(self, engine: WorkflowEngine, workflow: Object) -> list[Object]:
        """Make the claims that a workflow wants for itself; return what its status says of them.

        Raises:
            StepError: one cannot be made.
            ApiError: the API refused it for now.
        """
        told: list[Object] = []
        for template in engine.language.spec.volume_claim_templates:
            filled = variables.fill(template, engine.language.scope(), strict=False)
            volume = str((filled.get("metadata") or {}).get("name") or "")
            if not volume:
                raise StepError("spec.volumeClaimTemplates: one has no metadata.name")
            name = f"{engine.name}-{volume}"
            claim = {
                "apiVersion": core.PERSISTENT_VOLUME_CLAIMS.api_version,
                "kind": core.PERSISTENT_VOLUME_CLAIMS.kind,
                "metadata": {
                    **(filled.get("metadata") or {}),
                    "name": name,
                    "namespace": metadata.namespace(workflow),
                    "labels": {kinds.WORKFLOW_LABEL: engine.name},
                    "ownerReferences": [metadata.owner_reference(workflow)],
                },
                "spec": filled.get("spec") or {},
            }
            try:
                await apply.create_if_absent(
                    self._client, None, core.PERSISTENT_VOLUME_CLAIMS, claim
                )
            except (errors.InvalidError, errors.BadRequestError) as error:
                raise StepError(f"pvc create error: {error.message}") from error
            told.append({"name": volume, "persistentVolumeClaim": {"claimName": name}})
        engine.claims = {each["name"]: each["persistentVolumeClaim"]["claimName"] for each in told}
        return told

    async def budget(self, engine: WorkflowEngine, workflow: Object) -> None:
        """Make the budget that keeps too many of a workflow's pods from being evicted, where it wants one.

        Raises:
            StepError: it cannot be made.
            ForeignOwnerError: there is one of that name, which is another's.
            ApiError: the API refused it for now.
        """
        wanted = engine.spec.get("podDisruptionBudget")
        if wanted is None:
            return
        # As for upstream, which pods are meant need not be said.
        labels = {kinds.WORKFLOW_LABEL: naming.label(engine.name)}
        budget = {
            "apiVersion": core.POD_DISRUPTION_BUDGETS.api_version,
            "kind": core.POD_DISRUPTION_BUDGETS.kind,
            "metadata": {
                "name": engine.name,
                "namespace": metadata.namespace(workflow),
                "labels": labels,
                "ownerReferences": [metadata.owner_reference(workflow)],
            },
            "spec": {"selector": {"matchLabels": labels}, **wanted},
        }
        try:
            await apply.create_if_absent(self._client, None, core.POD_DISRUPTION_BUDGETS, budget)
        except (errors.InvalidError, errors.BadRequestError) as error:
            raise StepError(f"spec.podDisruptionBudget: {error.message}") from error


def added_metadata(engine: WorkflowEngine) -> dict[str, dict[str, str]]:
    """Return the labels and annotations that a workflow gets when it begins.

    Raises:
        NodeError: a label cannot be worked out.
    """
    more = engine.language.spec.workflow_metadata
    if more is None:
        return {}
    scope: Scope = engine.language.scope()
    labels = {key: str(value) for key, value in more.labels.items()}
    for key, source in more.labels_from.items():
        try:
            labels[key] = reading.any_text(scope.evaluate(source.expression))
        except ValueError as error:
            raise NodeError(f"workflowMetadata.labelsFrom.{key}: {error}") from error
    return {"labels": labels, "annotations": dict(more.annotations)}


def _arguments(below: Any, above: Any) -> Object:
    """Return the arguments of a template with those of a workflow that refers to it before them."""
    made: Object = {}
    for key in ("parameters", "artifacts"):
        entries: dict[str, Object] = {}
        for source in (below, above):
            for each in (source or {}).get(key) or ():
                old = entries.get(each["name"], {})
                if "value" in each or "valueFrom" in each:
                    old = {k: v for k, v in old.items() if k not in {"value", "valueFrom"}}
                entries[each["name"]] = {**old, **each}
        if entries:
            made[key] = [*entries.values()]
    return made

"""Where templates are found: in the workflow, in place, or in a template that others share. Pure.

What was found elsewhere is kept with the workflow, as upstream does (`status.storedTemplates`): a shared
template that is changed while the workflow runs does not change it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.requests import Object
from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.graph.model import State
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.workflows import reading
from wherry.pipelines.workflows.messages import Step, Template, TemplateRef, WorkflowSpec

_OWN_OF_TEMPLATE: Final = frozenset({"name", "inputs", "outputs"})


class NodeError(UnresolvedError):
    """A node cannot be run as it is written; the message says why."""

    state = State.ERROR


@dataclass(frozen=True, slots=True)
class Where:
    """A set of templates by name: those of the workflow itself, or of a template that is shared.

    Attributes:
        name: Of the shared template; empty: the workflow itself.
        cluster: Whether it is one of the whole cluster.
    """

    name: str = ""
    cluster: bool = False

    @property
    def scope(self) -> str:
        """As node statuses say it, such as ``namespaced/hello``."""
        return f"{'cluster' if self.cluster else 'namespaced'}/{self.name}"


Find = Callable[[Where], Object | None]
"""Returns the spec of a shared template, as it is now; None: there is none."""


class Templates:
    """The templates of one workflow.

    Args:
        spec: What it runs.
        find: Finds shared templates.
        stored: Those that it has used before, by `key`.
    """

    def __init__(self, spec: WorkflowSpec, find: Find, stored: Mapping[str, Object]) -> None:
        self._own = {template.name: template for template in spec.templates}
        self._defaults: Mapping[str, Any] = spec.json.get("templateDefaults") or {}
        self._find = find
        self.stored: dict[str, Object] = dict(stored)
        self._read: dict[str, Template] = {}

    def find(self, step: Step, where: Where) -> tuple[Template, Where]:
        """Return the template that a step calls, and where names in it are looked up.

        Raises:
            NodeError: There is none.
        """
        if step.inline is not None:
            return self._with_defaults(step.inline), where
        if step.template_ref is not None:
            return self._shared(step.template_ref)
        if where.name:
            ref = TemplateRef(where.name, step.template, where.cluster)
            return self._shared(ref)
        found = self._own.get(step.template)
        if found is None:
            raise NodeError(f"template {step.template!r} is not there")
        key = f"/{step.template}"
        if key not in self._read:
            self._read[key] = self._with_defaults(found)
        return self._read[key], where

    def _shared(self, ref: TemplateRef) -> tuple[Template, Where]:
        where = Where(ref.name, ref.cluster_scope)
        key = f"{where.scope}/{ref.template}"
        if key not in self._read:
            if key not in self.stored:
                self.stored[key] = self._looked_up(where, ref.template)
            try:
                read = reading.read_template(self.stored[key], key)
            except PipelineError as error:
                raise NodeError(f"{key}: {error}") from error
            self._read[key] = self._with_defaults(read)
        return self._read[key], where

    def _looked_up(self, where: Where, name: str) -> Object:
        spec = self._find(where)
        kind = "ClusterWorkflowTemplate" if where.cluster else "WorkflowTemplate"
        if spec is None:
            raise NodeError(f"there is no {kind} {where.name!r}")
        for template in spec.get("templates") or ():
            if isinstance(template, dict) and template.get("name") == name:
                return template
        raise NodeError(f"{kind} {where.name!r} has no template {name!r}")

    def _with_defaults(self, template: Template) -> Template:
        if not self._defaults:
            return template
        given = {key: each for key, each in self._defaults.items() if key not in _OWN_OF_TEMPLATE}
        merged = merged_json(given, template.json)
        kinds = {str(each) for each in template.types}
        if kinds:
            others = {str(each) for each in reading.read_template(given).types} - kinds
            merged = {key: each for key, each in merged.items() if key not in others}
        return reading.read_template(merged, f"template {template.name}")


def merged_json(below: Mapping[str, Any], above: Mapping[str, Any]) -> Object:
    """Return two objects as one: where both say something, what ``above`` says holds."""
    made = dict(below)
    for key, value in above.items():
        old = made.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            made[key] = merged_json(old, value)
        else:
            made[key] = value
    return made

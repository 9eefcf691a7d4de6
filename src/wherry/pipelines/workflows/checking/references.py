"""Variables that templates use, against those that there will be.

Only what is certain to be missing is told. Names of which a part is known only when the workflow runs, and outputs of
templates that are found only then, pass.

Source: argo-workflows after 4.1.2, ``resolveAllVariables`` and ``addOutputsToScope`` in
``workflow/validate/validate.go``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.pipelines.ir.reading import shown
from wherry.pipelines.workflows import variables
from wherry.pipelines.workflows.checking.findings import Findings
from wherry.pipelines.workflows.expr import program
from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.messages import Step, Template, TemplateType

_ALWAYS: Final = (
    "outputs.",
    "workflow.creationTimestamp",
    "workflow.scheduledTime",
    "workflow.duration",
    "tasks.name",
    "steps.name",
)
_FIELDS: Final = frozenset({"expression", "fromExpression"})
_NODE: Final = ("id", "startedAt", "finishedAt", "hostNodeName", "status")
_WITH_RESULT: Final = frozenset(
    {
        *(TemplateType.CONTAINER, TemplateType.SCRIPT, TemplateType.DATA, TemplateType.HTTP),
        *(TemplateType.PLUGIN, TemplateType.CONTAINER_SET, TemplateType.RESOURCE),
    }
)


@dataclass(slots=True)
class Known:
    """Variables that there are in some place.

    Attributes:
        names: Whole names.
        groups: What stands before a dot in names of which any may be, such as ``steps.a``.
        around: Those that there are around it.
    """

    names: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    around: "Known | None" = None

    def inner(self) -> "Known":
        """Return the same variables, to which others may be added."""
        return Known(around=self)

    def add(self, *names: str) -> None:
        """Add variables."""
        self.names.update(names)

    def add_all(self, group: str) -> None:
        """Add all variables of a group."""
        self.groups.add(group)

    def has(self, name: str) -> bool:
        """Tell whether there may be a variable."""
        if not name.startswith(variables.ROOTS) or name.startswith(_ALWAYS):
            return True
        parts = name.split(".")
        groups = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        place: Known | None = self
        while place is not None:
            if name in place.names or not place.groups.isdisjoint(groups):
                return True
            place = place.around
        return False


def check(found: Findings, where: str, value: Any, known: Known) -> None:
    """Write down the variables of JSON that there are not, and the expressions that cannot be read."""
    for tag in sorted(variables.tags(value)):
        if tag.startswith("="):
            _expression(found, where, tag[1:])
        elif variables.COMPOSED not in tag and not known.has(tag):
            found.add(where, f"there is no variable {tag}: {{{{{tag}}}}} cannot be filled in")
    for source in _expressions(value):
        _expression(found, where, source)


def _expression(found: Findings, where: str, source: str) -> None:
    try:
        program.parse(source)
    except ExprError as error:
        found.add(where, f"{shown(source)} is no expression: {error}")


def _expressions(value: Any) -> Iterator[str]:
    """Yield what stands in fields that are expressions as a whole, and need not be filled in first."""
    if isinstance(value, list):
        for each in value:
            yield from _expressions(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in _FIELDS and isinstance(each, str) and each and "{{" not in each:
                yield each
            else:
                yield from _expressions(each)


def add_inputs(known: Known, template: Template, *, leaf: bool) -> None:
    """Add the variables of a template's own inputs and outputs."""
    if template.inputs.parameters:
        known.add("inputs.parameters")
    known.add(*(f"inputs.parameters.{each.name}" for each in template.inputs.parameters))
    known.add(*(f"inputs.artifacts.{each.name}" for each in template.inputs.artifacts))
    if leaf:
        known.add("pod.name")
        known.add(*(f"inputs.artifacts.{each.name}.path" for each in template.inputs.artifacts))


def add_node(known: Known, kind: str, step: Step, template: Template | None) -> None:
    """Add the variables of a step or task.

    Args:
        known: Where.
        kind: ``steps`` or ``tasks``.
        step: The node.
        template: What it runs; None: that is found when it runs.
    """
    start = f"{kind}.{step.name}."
    if template is None or "{{" in step.name:
        known.add_all(kind if "{{" in step.name else f"{kind}.{step.name}")
        return
    known.add(*(f"{start}{what}" for what in _NODE))
    if template.daemon:
        known.add(f"{start}ip")
    if _WITH_RESULT & set(template.types) or step.loops:
        known.add(f"{start}outputs.result", f"{start}exitCode")
    if step.loops:
        known.add(f"{start}outputs.parameters")
    known.add(*(f"{start}outputs.parameters.{each.name}" for each in template.outputs.parameters))
    known.add(*(f"{start}outputs.artifacts.{each.name}" for each in template.outputs.artifacts))


def add_items(known: Known, step: Step) -> None:
    """Add the variables of a loop's turns."""
    if step.loops:
        known.add("item")
    if step.with_param:
        known.add_all("item")
    for item in step.with_items:
        if isinstance(item, dict):
            known.add(*(f"item.{key}" for key in item))
        elif isinstance(item, list):
            known.add(*(f"item.[{place}]" for place in range(len(item))))
        elif isinstance(item, str) and "{{" in item:
            known.add_all("item")


def add_global_outputs(known: Known, templates: Iterable[Template]) -> None:
    """Add the outputs that templates give to the whole workflow."""
    for template in templates:
        for what, outputs in (
            ("parameters", template.outputs.parameters),
            ("artifacts", template.outputs.artifacts),
        ):
            for each in outputs:
                if "{{" in each.global_name:
                    known.add_all(f"workflow.outputs.{what}")
                elif each.global_name:
                    known.add(f"workflow.outputs.{what}.{each.global_name}")

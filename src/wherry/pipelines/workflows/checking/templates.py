"""Templates, one by one: what they are, and the steps and tasks of those that consist of others."""

import re
from collections.abc import Mapping
from typing import Any, Final

from wherry.pipelines.ir.reading import shown
from wherry.pipelines.workflows import variables
from wherry.pipelines.workflows.checking import (
    arguments,
    cycles,
    leaves,
    measures,
    named,
    outputs,
    pods,
    references,
)
from wherry.pipelines.workflows.checking.findings import FORBIDDEN, REQUIRED, Findings
from wherry.pipelines.workflows.checking.references import Known
from wherry.pipelines.workflows.conditions import OF_ITEMS, ConditionError, Depends, depends
from wherry.pipelines.workflows.messages import (
    EXIT,
    Dag,
    Hook,
    Step,
    Task,
    Template,
    TemplateRef,
    TemplateType,
)

_TASK: Final = re.compile(r"\{\{\s*tasks\.([^.{}\s]+)\.")
_OWN: Final = frozenset({"inline", "hooks"})
"""Parts of a step that are checked by themselves."""
_ON_AGENT: Final = frozenset({TemplateType.HTTP, TemplateType.PLUGIN})
_NO_POD: Final = _ON_AGENT | {TemplateType.SUSPEND, TemplateType.STEPS, TemplateType.DAG}


class TemplateCheck:
    """Checks the templates of one workflow.

    Args:
        found: Where what is wrong is written down.
        templates: Those of the workflow, by name.
        defaults: What the workflow says for all of them.
        known: Variables that there are everywhere.
    """

    def __init__(
        self,
        found: Findings,
        templates: Mapping[str, Template],
        defaults: Template | None,
        known: Known,
    ) -> None:
        self._found = found
        self._templates = templates
        self._defaults = defaults
        self._known = known

    def template(self, where: str, template: Template, known: Known | None = None) -> None:
        """Check a template.

        Args:
            where: Its place.
            template: The template.
            known: Variables that there are around it, where that is more than everywhere.
        """
        kind = self._kind(where, template)
        if kind is None:
            return
        leaf = kind in leaves.LEAVES
        here = (known or self._known).inner()
        references.add_inputs(here, template, leaf=leaf)
        outputs.check(self._found, where, template, kind)
        measures.check(self._found, where, template.metrics)
        self._times(where, template, kind)
        if template.steps is not None:
            self._steps(f"{where}.steps", template.steps, here)
        elif template.dag is not None:
            self._dag(f"{where}.dag", template.dag, here)
        else:
            leaves.check(self._found, where, template, self._defaults)
            references.check(self._found, where, template.json, here)
            return
        if template.active_deadline_seconds is not None:
            message = "only templates that do something themselves have one; use timeouts of steps"
            self._found.add(f"{where}.activeDeadlineSeconds", message, FORBIDDEN)
        references.check(self._found, f"{where}.outputs", template.json.get("outputs"), here)

    def _kind(self, where: str, template: Template) -> TemplateType | None:
        kinds = template.types
        accepted = ", ".join(TemplateType)
        if not kinds:
            self._found.add(where, f"says not what it does: one of {accepted}", REQUIRED)
        elif len(kinds) > 1:
            both = ", ".join(kinds)
            self._found.add(where, f"only one of {both} may be given", FORBIDDEN)
        return kinds[0] if len(kinds) == 1 else None

    def _times(self, where: str, template: Template, kind: TemplateType) -> None:
        leaf = kind in leaves.LEAVES and kind is not TemplateType.SUSPEND
        for name, given in (
            ("timeout", template.timeout),
            ("pendingTimeout", template.pending_timeout),
        ):
            if given and not leaf:
                message = f"a template of {kind} has none: only those that run something do"
                self._found.add(f"{where}.{name}", message, FORBIDDEN)
        if leaf and template.timeout.isdecimal():
            message = f"{shown(template.timeout)} has no unit: write for example 30s or 5m"
            self._found.add(f"{where}.timeout", message)
        self._pods(where, template, kind)

    def _pods(self, where: str, template: Template, kind: TemplateType) -> None:
        message = f"a template of {kind} has no pod of its own"
        if template.pod_resources is not None and kind in _ON_AGENT:
            self._found.add(f"{where}.podResources", message, FORBIDDEN)
        if template.resource_claims and kind in _NO_POD:
            self._found.add(f"{where}.resourceClaims", message, FORBIDDEN)
        pods.check_resources(self._found, f"{where}.podResources", template.pod_resources)

    def _steps(self, where: str, groups: tuple[tuple[Step, ...], ...], known: Known) -> None:
        every = [step for group in groups for step in group]
        named.nodes(self._found, where, every)
        for place, group in enumerate(groups):
            for each, step in enumerate(group):
                here = f"{where}[{place}][{each}]"
                template = self._node(here, step, known, "steps")
                arguments.check(self._found, f"{here}.arguments", step.arguments, empty=False)
                references.add_node(known, "steps", step, template)

    def _dag(self, where: str, dag: Dag, known: Known) -> None:
        if not dag.tasks:
            self._found.add(f"{where}.tasks", "at least one task is wanted", REQUIRED)
        named.nodes(self._found, f"{where}.tasks", dag.tasks)
        tasks = {task.name: task for task in dag.tasks}
        graph: dict[str, set[str]] = {}
        for place, task in enumerate(dag.tasks):
            waits = self._depends(f"{where}.tasks[{place}]", task, tasks)
            graph[task.name] = set(waits.results) if waits else set()
            references.add_node(known, "tasks", task, self._called(task))
        if cycle := cycles.find(graph):
            self._found.add(f"{where}.tasks", f"these wait for one another: {' → '.join(cycle)}")
            return
        self._targets(where, dag, tasks, known)
        mixed = any(task.depends for task in dag.tasks)
        for place, task in enumerate(dag.tasks):
            here = f"{where}.tasks[{place}]"
            self._task(here, task, mixed=mixed)
            self._node(here, task, known, "tasks")
            arguments.check(self._found, f"{here}.arguments", task.arguments, empty=False)
            self._order(here, task, graph)

    def _depends(self, where: str, task: Task, tasks: Mapping[str, Task]) -> Depends | None:
        field = f"{where}.depends" if task.depends else f"{where}.dependencies"
        try:
            waits = depends(task, tasks)
        except ConditionError as error:
            self._found.add(field, str(error))
            return None
        for name, results in waits.results.items():
            other = tasks.get(name)
            if other is None:
                self._found.add(field, f"there is no task {shown(name)} here")
            elif OF_ITEMS & results and not other.loops:
                words = ", ".join(sorted(OF_ITEMS & results))
                self._found.add(field, f"task {name!r} has no items, of which {words} would tell")
        return waits

    def _task(self, where: str, task: Task, *, mixed: bool) -> None:
        if mixed and task.dependencies:
            message = "a graph uses either depends or dependencies, not both"
            self._found.add(f"{where}.dependencies", message, FORBIDDEN)
        if mixed and (task.continue_on.error or task.continue_on.failed):
            message = "with depends, say what follows by task.Failed and task.Errored"
            self._found.add(f"{where}.continueOn", message, FORBIDDEN)
        if (mixed or task.dependencies) and task.name[:1].isdigit():
            message = "begins with a digit, which names of tasks with dependencies may not"
            self._found.add(f"{where}.name", f"{shown(task.name)} {message}")

    def _order(self, where: str, task: Task, graph: Mapping[str, set[str]]) -> None:
        """Check that what a task is given comes from tasks that end before it."""
        used = set(_TASK.findall(_text(task.json.get("arguments")))) & graph.keys()
        if used <= graph[task.name]:
            return
        for name in sorted(used - cycles.before(graph, task.name)):
            message = f"uses task {name!r}, on which it does not depend"
            self._found.add(f"{where}.arguments", message)

    def _targets(self, where: str, dag: Dag, tasks: Mapping[str, Task], known: Known) -> None:
        references.check(self._found, f"{where}.target", dag.target, known)
        for name in dag.target.split():
            if "{{" not in dag.target and name not in tasks:
                self._found.add(f"{where}.target", f"there is no task {shown(name)} here")

    def _node(self, where: str, step: Step, known: Known, kind: str) -> Template | None:
        """Check a step or task; return what it runs, None where that is found when it runs."""
        self._calls(where, step)
        ways = (step.with_items, step.with_param, step.with_sequence)
        if sum(bool(each) for each in ways) > 1:
            message = "only one of withItems, withParam, withSequence may be given"
            self._found.add(where, message, FORBIDDEN)
        numbers = step.with_sequence
        if numbers is not None and numbers.count is not None and numbers.end is not None:
            message = "only one of count, end may be given"
            self._found.add(f"{where}.withSequence", message, FORBIDDEN)
        here = known.inner()
        references.add_items(here, step)
        own = {key: each for key, each in step.json.items() if key not in _OWN}
        references.check(self._found, where, own, here)
        self.hooks(f"{where}.hooks", step.hooks)
        self._exists(f"{where}.onExit", step.on_exit)
        if step.inline is not None:
            self.template(f"{where}.inline", step.inline, here)
        template = self._called(step)
        if template is not None:
            arguments.check_given(self._found, f"{where}.arguments", template, step.arguments)
        after = known.inner()
        references.add_node(after, kind, step, template)
        after.add_all("item")
        references.check(self._found, f"{where}.hooks", step.json.get("hooks"), after)
        return template

    def _calls(self, where: str, step: Step) -> None:
        ways = {
            "template": bool(step.template),
            "templateRef": step.template_ref is not None,
            "inline": step.inline is not None,
        }
        given = [name for name, there in ways.items() if there]
        if not given:
            self._found.add(where, f"says not what it runs: one of {', '.join(ways)}", REQUIRED)
        elif len(given) > 1:
            self._found.add(where, f"only one of {', '.join(given)} may be given", FORBIDDEN)
        self._exists(f"{where}.template", step.template)
        self._ref(f"{where}.templateRef", step.template_ref)

    def _ref(self, where: str, ref: TemplateRef | None) -> None:
        if ref is not None and not ref.name:
            self._found.add(f"{where}.name", "the name of a WorkflowTemplate is missing", REQUIRED)
        if ref is not None and not ref.template:
            self._found.add(f"{where}.template", "the name of a template is missing", REQUIRED)

    def _exists(self, where: str, name: str) -> None:
        if name and "{{" not in name and name not in self._templates:
            there = ", ".join(sorted(self._templates)[:20]) or "none"
            self._found.add(where, f"there is no template {shown(name)}; there is {there}")

    def _called(self, step: Step) -> Template | None:
        return step.inline if step.inline is not None else self._templates.get(step.template)

    def hooks(self, where: str, hooks: Mapping[str, Hook]) -> None:
        """Check the hooks of a step or of the workflow."""
        for name, hook in hooks.items():
            here = f"{where}.{name}"
            if name != EXIT and not hook.expression:
                self._found.add(f"{here}.expression", "an expression is missing", REQUIRED)
            self._exists(f"{here}.template", hook.template)
            self._ref(f"{here}.templateRef", hook.template_ref)

    def named(self, where: str, name: str) -> Template | None:
        """Check that there is a template; return it."""
        self._exists(where, name)
        return self._templates.get(name)


def _text(value: Any) -> str:
    return " ".join(f"{{{{{tag}}}}}" for tag in sorted(variables.tags(value)) if tag[0] != "=")

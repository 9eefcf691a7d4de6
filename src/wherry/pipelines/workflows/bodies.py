"""The graphs that a workflow's templates stand for. Pure."""

import re
from collections.abc import Mapping
from typing import Final

from wherry.pipelines.graph.model import Node, Trigger
from wherry.pipelines.workflows import conditions
from wherry.pipelines.workflows.calls import Body, Call, Kind, Role
from wherry.pipelines.workflows.conditions import ConditionError, Depends
from wherry.pipelines.workflows.messages import EXIT, Hook, Step, Task, Template, WorkflowSpec
from wherry.pipelines.workflows.templates import NodeError, Where

MAIN: Final = Role.MAIN.name
BODY: Final = Role.BODY.name
GUARD: Final = Role.GUARD.name
EXITING: Final = Role.EXIT.name
_PARTING: Final = re.compile(r"[/\[\]]")
"""What parts of paths are told apart by."""


def of_workflow(spec: WorkflowSpec) -> Body:
    """Return the graph of a whole workflow: its entrypoint, its hooks, its exit handler."""
    entry = Step(name=spec.entrypoint, template=spec.entrypoint, json=_given(spec))
    main = Call(name=MAIN, component="", lazy=True, step=entry, role=Role.MAIN)
    hooks = dict(spec.hooks)
    if spec.on_exit and EXIT not in hooks:
        hooks[EXIT] = Hook(template=spec.on_exit, arguments=spec.arguments)
    jsons = {EXIT: {"arguments": entry.json["arguments"]}} if EXIT not in spec.hooks else {}
    jsons |= spec.json.get("hooks") or {}
    return Body("", {MAIN: main, **_hooks(hooks, jsons, Where())}, kind=Kind.ROOT)


def _given(spec: WorkflowSpec) -> dict[str, object]:
    """Return the workflow's own arguments as those of its entrypoint; values are variables by then."""
    names = (each.name for each in spec.arguments.parameters)
    parameters = [{"name": name, "value": "{{workflow.parameters." + name + "}}"} for name in names]
    artifacts = (spec.json.get("arguments") or {}).get("artifacts") or []
    return {"arguments": {"parameters": parameters, "artifacts": artifacts}}


def of_template(template: Template, where: Where, target: str) -> Body | None:
    """Return the graph of a template; None: it is a step.

    Args:
        template: As found.
        where: Where names in it are looked up.
        target: Of a DAG: the tasks that count; empty: those on which no other depends.

    Raises:
        NodeError: It cannot be run as it is written.
    """
    limit = max(template.parallelism or 0, 0)
    if template.steps is not None:
        return _of_steps(template, where, limit)
    if template.dag is not None:
        return _of_dag(template, where, limit, target)
    return None


def _of_steps(template: Template, where: Where, limit: int) -> Body:
    nodes: dict[str, Node] = {}
    groups: dict[str, str] = {}
    for number, steps in enumerate(template.steps or ()):
        name = str(number)
        calls = {step.name: _call(step, where) for step in steps}
        groups |= dict.fromkeys(calls, name)
        graph = Body(name, calls, limit=limit, kind=Kind.GROUP, template=template)
        needs = (str(number - 1),) if number else ()
        nodes[name] = Node(name=name, component=name, needs=needs, graph=graph)
    return Body(template.name, nodes, kind=Kind.STEPS, template=template, groups=groups)


def _of_dag(template: Template, where: Where, limit: int, target: str) -> Body:
    tasks = {task.name: task for task in template.dag.tasks} if template.dag else {}
    try:
        depends = {name: conditions.depends(task, tasks) for name, task in tasks.items()}
    except ConditionError as error:
        raise NodeError(f"template {template.name}: {error}") from error
    needs = {name: tuple(each.results) for name, each in depends.items()}
    aims = targets(target, needs)
    wanted = _wanted(template, needs, aims)
    nodes = {
        name: _call(task, where, depends[name]) for name, task in tasks.items() if name in wanted
    }
    return Body(template.name, nodes, limit=limit, kind=Kind.DAG, template=template, targets=aims)


def _wanted(
    template: Template, needs: Mapping[str, tuple[str, ...]], aims: tuple[str, ...]
) -> set[str]:
    """Return the tasks that the targets of a DAG need, and these."""
    found: set[str] = set()
    left = [*aims]
    while left:
        name = left.pop()
        if name not in needs:
            raise NodeError(f"template {template.name}: there is no task {name!r}")
        if name not in found:
            found.add(name)
            left.extend(needs[name])
    return found


def targets(target: str, needs: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the tasks that decide what becomes of a DAG."""
    needed = {name for each in needs.values() for name in each}
    return tuple(target.split()) or tuple(name for name in needs if name not in needed)


def wrapped(call: Call) -> Body:
    """Return a call with its hooks as a graph."""
    step = call.step
    main = Call(name=MAIN, component="", lazy=True, step=step, where=call.where, role=Role.MAIN)
    hooks = dict(step.hooks)
    if step.on_exit and EXIT not in hooks:
        hooks[EXIT] = Hook(template=step.on_exit)
    nodes = {MAIN: main, **_hooks(hooks, step.json.get("hooks") or {}, call.where)}
    return Body("", nodes, kind=Kind.WRAP)


def guarded(call: Call) -> Body:
    """Return a call as a graph in which something is waited for, or looked up, before it begins."""
    guard = Call(
        name=GUARD, component="", lazy=True, step=call.step, where=call.where, role=Role.GUARD
    )
    body = Call(
        name=BODY,
        component="",
        needs=(GUARD,),
        lazy=True,
        step=call.step,
        where=call.where,
        role=Role.BODY,
    )
    return Body("", {GUARD: guard, BODY: body}, kind=Kind.WRAP)


def _hooks(hooks: Mapping[str, Hook], jsons: Mapping[str, object], where: Where) -> dict[str, Call]:
    made: dict[str, Call] = {}
    for number, (key, hook) in enumerate(hooks.items()):
        written = jsons.get(key)
        step = Step(
            name=key,
            template=hook.template,
            template_ref=hook.template_ref,
            json=dict(written) if isinstance(written, Mapping) else {},
        )
        is_exit = key == EXIT
        name = EXITING if is_exit else f"{Role.HOOK.name}{number}"
        made[name] = Call(
            name=name,
            component=hook.expression,
            needs=(MAIN,) if is_exit else (),
            trigger=Trigger.COMPLETED if is_exit else Trigger.SUCCEEDED,
            watches="" if is_exit else MAIN,
            lazy=True,
            step=step,
            where=where,
            role=Role.EXIT if is_exit else Role.HOOK,
            hook=key,
        )
    return made


def _call(step: Step | Task, where: Where, depends: Depends | None = None) -> Call:
    if not step.name or _PARTING.search(step.name):
        raise NodeError(f"a step is called {step.name[:100]!r}: use letters, digits and -")
    return Call(
        name=step.name,
        component=step.template,
        needs=tuple(depends.results) if depends is not None else (),
        loop=step.loops or "withItems" in step.json or "withParam" in step.json,
        lazy=True,
        step=step,
        where=where,
        depends=depends,
    )

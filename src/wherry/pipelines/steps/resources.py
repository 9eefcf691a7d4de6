"""What a step asks of its node. Amounts may be placeholders; an empty one asks for nothing.

Source: kubeflow/pipelines 2.17, ``backend/src/v2/driver/driver.go`` (initPodSpecPatch).
"""

from wherry.objects import quantities
from wherry.objects.requests import Object
from wherry.pipelines import placeholders
from wherry.pipelines.ir.executors import Accelerator, Resources
from wherry.pipelines.steps.draft import StepError


def make(wanted: Resources | None, context: placeholders.Context) -> Object:
    """Return the resources of a container; empty where nothing is asked.

    Raises:
        StepError: an amount is none.
        UnresolvedError: a placeholder asks for what there is not.
    """
    if wanted is None:
        return {}
    rows = (
        ("limits", "cpu", wanted.resource_cpu_limit, wanted.cpu_limit, ""),
        ("limits", "memory", wanted.resource_memory_limit, wanted.memory_limit, "G"),
        ("requests", "cpu", wanted.resource_cpu_request, wanted.cpu_request, ""),
        ("requests", "memory", wanted.resource_memory_request, wanted.memory_request, "G"),
    )
    made: Object = {}
    for side, name, text, number, unit in rows:
        amount = placeholders.resolve_text(text, context) if text else ""
        if not amount and number:
            amount = f"{number:g}{unit}"
        if amount:
            made.setdefault(side, {})[name] = _checked(f"{name} {side}", amount)
    if wanted.accelerator is not None:
        for name, amount in _accelerators(wanted.accelerator, context):
            made.setdefault("limits", {})[name] = _checked(name, amount)
    return made


def _accelerators(wanted: Accelerator, context: placeholders.Context) -> list[tuple[str, str]]:
    name = placeholders.resolve_text(wanted.resource_type, context) or wanted.type
    count = placeholders.resolve_text(wanted.resource_count, context)
    if not count and wanted.count:
        count = str(wanted.count)
    return [(name, count)] if name and count else []


def _checked(what: str, amount: str) -> str:
    try:
        quantities.parse(amount)
    except ValueError as error:
        raise StepError(f"resources: {what}: {amount!r} is no amount: {error}") from error
    return amount

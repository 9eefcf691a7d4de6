"""What holds for whole pods."""

from collections.abc import Mapping
from typing import Any, Final

from wherry.pipelines.ir.reading import shown
from wherry.pipelines.workflows.checking.findings import FORBIDDEN, UNSUPPORTED, Findings

_RESOURCES: Final = ("cpu", "memory")
_PAGES: Final = "hugepages-"


def check_resources(found: Findings, where: str, resources: Mapping[str, Any] | None) -> None:
    """Check resources of a whole pod, of which Kubernetes knows a few only."""
    if resources is None:
        return
    if resources.get("claims"):
        found.add(f"{where}.claims", "a whole pod has none; containers do", FORBIDDEN)
    for part in ("limits", "requests"):
        given = resources.get(part)
        for name in given if isinstance(given, Mapping) else ():
            if name not in _RESOURCES and not str(name).startswith(_PAGES):
                message = f"{shown(name)}: a whole pod has cpu, memory and {_PAGES}*"
                found.add(f"{where}.{part}", message, UNSUPPORTED)

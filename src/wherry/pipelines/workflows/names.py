"""Names of nodes and of their pods, as upstream makes them: UIs and scripts look for these. Pure.

Source: argo-workflows after 4.1.2, ``Workflow.NodeID`` in ``pkg/apis/workflow/v1alpha1/workflow_types.go`` and
``GeneratePodName`` in ``workflow/util/pod_name.go``.
"""

import re
from typing import Any, Final

from wherry.pipelines.workflows import reading

ON_EXIT: Final = ".onExit"
_FNV_OFFSET: Final = 0x811C9DC5
_FNV_PRIME: Final = 0x01000193
_MASK: Final = 0xFFFFFFFF
_LONGEST_PREFIX: Final = 242
_LONGEST_ITEM: Final = 200
_UNSAFE: Final = re.compile(r"[^-a-z0-9.]+")


def fnv32a(text: str) -> int:
    """Return the 32-bit FNV-1a hash of a text."""
    found = _FNV_OFFSET
    for byte in text.encode():
        found = ((found ^ byte) * _FNV_PRIME) & _MASK
    return found


def node_id(workflow: str, name: str) -> str:
    """Return the id of a node by its name."""
    return name if name == workflow else f"{workflow}-{fnv32a(name)}"


def pod(workflow: str, name: str, template: str, *, attempt: int = 0) -> str:
    """Return the name of a node's pod.

    Args:
        workflow: Its name.
        name: Of the node.
        template: Name of the template; empty: it is written down where it is used.
        attempt: Above 0 where the same node has had pods before.
    """
    if name == workflow and not attempt:
        return workflow
    prefix = f"{workflow}-{template}" if template else workflow
    prefix = _UNSAFE.sub("-", prefix[:_LONGEST_PREFIX].lower()).strip("-.")
    return f"{prefix}-{fnv32a(f'{name}#{attempt}' if attempt else name)}"


def turn(name: str, number: int, item: Any) -> str:
    """Return the name of one turn of a loop, such as ``wf[0].hello(1:b)``."""
    return f"{name}({number}:{_told(item)})"


def attempt(name: str, number: int) -> str:
    """Return the name of one attempt of a node that is tried again."""
    return f"{name}({number})"


def group(name: str, number: str) -> str:
    """Return the name of a group of steps."""
    return f"{name}[{number}]"


def hook(name: str, key: str) -> str:
    """Return the name of the node of a hook."""
    return f"{name}.hooks.{key}"


def _told(item: Any) -> str:
    if isinstance(item, dict):
        parts = (f"{key}:{reading.any_text(item[key])}" for key in sorted(item))
        text = ",".join(parts)
    else:
        text = reading.any_text(item)
    return text[:_LONGEST_ITEM]

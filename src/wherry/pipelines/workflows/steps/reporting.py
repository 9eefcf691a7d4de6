"""What a step needs to tell how far it is: a file, and a container beside it that says what is in it.

There is no executor in the pod that could read the file, and the control plane may be on another machine. What a
container says it can read wherever the pod runs.
"""

import contextlib
import json
from typing import Final

from wherry.objects.requests import Object
from wherry.pipelines.controller.roots import RootError
from wherry.pipelines.staging import staged
from wherry.pipelines.steps.draft import Draft
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.artifacts import in_pod
from wherry.pipelines.workflows.artifacts.in_pod import Hire
from wherry.pipelines.workflows.artifacts.order import Order

VARIABLE: Final = "ARGO_PROGRESS_FILE"
"""Names the file; programs fail where they cannot write it."""
CONTAINER: Final = "wherry-progress"
SECONDS: Final = 3.0
"""How often the file is read; upstream's."""
_FOLDER: Final = "/var/run/argo"
_PATH: Final = f"{_FOLDER}/progress"


def wanted(order: Order) -> bool:
    """Tell whether a step may tell how far it is: its template names the variable, or has the annotation."""
    text = json.dumps(order.template)
    return VARIABLE in text or kinds.PROGRESS_ANNOTATION in text


def add(draft: Draft, agent: Hire) -> None:
    """Let the step of a pod tell how far it is.

    Args:
        draft: The pod; changed in place.
        agent: Gives what says it; where there is none the file is not read.
    """
    draft.spec.setdefault("volumes", []).append({"name": CONTAINER, "emptyDir": {}})
    mount = {"name": CONTAINER, "mountPath": _FOLDER}
    for container in draft.spec["containers"]:
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
        present = container.get("env") or ()
        if not any(each["name"] == VARIABLE for each in present):
            container["env"] = [*present, {"name": VARIABLE, "value": _PATH}]
    with contextlib.suppress(RootError):
        made = agent().container(draft, CONTAINER, ["progress"], (), module=in_pod.MODULE)
        made["env"].append(staged.plan({"path": _PATH, "seconds": SECONDS}))
        made["volumeMounts"].append({**mount, "readOnly": True})
        made["restartPolicy"] = "Always"
        draft.init_container(made)


def reports(pod: Object) -> bool:
    """Tell whether a container of a pod says how far its step is."""
    beside = (pod.get("spec") or {}).get("initContainers") or ()
    return any(each.get("name") == CONTAINER for each in beside)

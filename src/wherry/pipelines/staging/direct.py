"""Artifacts in a folder of the node: a step reads and writes them where they are.

The folder of the namespace is mounted at its own path, so that a path that one step writes down is right
for the next one. Nothing is copied, and nothing runs beside the step.
"""

import os
from pathlib import Path
from typing import Final

from wherry.metadata.artifacts import uris
from wherry.metadata.records import Values
from wherry.objects.requests import Object
from wherry.pipelines.staging import agent, staged
from wherry.pipelines.steps import executor_input
from wherry.pipelines.steps.draft import Draft, StepError
from wherry.pipelines.steps.order import Order
from wherry.pipelines.steps.outputs import Written

_ARTIFACTS: Final = "wherry-artifacts"
_ANYONE: Final = 0o777


class DirectPlaces:
    """A folder of the node."""

    def __init__(self, folder: Path, stage: staged.Stage) -> None:
        """Take the folder that steps may read and write, and how other inputs are brought.

        Args:
            folder: Absolute; one namespace's.
            stage: For inputs that are in a store.
        """
        self._folder = folder
        self._stage = stage

    def prepare(self, draft: Draft, order: Order, told: Object) -> None:
        """Mount the folder."""
        root = Path(uris.path(order.task_root))
        if not root.is_relative_to(self._folder):
            raise StepError(
                f"pipelineRoot: {order.task_root} is outside of {self._folder}, which is what "
                "steps of this namespace may write to"
            )
        mount_folder(draft, self._folder)
        wanted = staged.remote(order)
        if wanted:
            shared = staged.share(draft, [path for _, path in wanted])
            self._stage.fetch(draft, wanted, shared)
        draft.container.setdefault("env", []).append(dict(staged.PRESENT))


def mount_folder(draft: Draft, folder: Path) -> None:
    """Mount a folder of the node at its own path."""
    volume = {"name": _ARTIFACTS, "hostPath": {"path": str(folder)}}
    draft.own_volume(volume, {"name": _ARTIFACTS, "mountPath": str(folder)})


def make_folders(task_root: str, folder: Path) -> None:
    """Make the folders of a step's outputs. Blocking.

    Args:
        task_root: URI below which its outputs go.
        folder: That steps may write to; absolute.

    Raises:
        StepError: they would be somewhere else.
    """
    root = Path(uris.path(task_root))
    # Steps can put links into the folder.
    if not root.resolve().is_relative_to(folder.resolve()):
        raise StepError(f"pipelineRoot: {task_root} is, or leads, outside of {folder}")
    for each in (root, root / executor_input.PARAMETERS_FOLDER):
        each.mkdir(parents=True, exist_ok=True)
        # Steps may run as any user.
        each.chmod(_ANYONE)


def written(order: Order, folder: Path) -> Written:
    """Return what a step has written down. Blocking.

    Args:
        order: The step.
        folder: That steps may write to; absolute.

    Raises:
        TooLargeError: a file is too large.
        OSError: a file cannot be read, or there is a link on the way to it.
    """
    root = Path(uris.path(order.task_root))
    parameters = {}
    for name in order.component.output_definitions.parameters:
        content = agent.text(root / executor_input.PARAMETERS_FOLDER / name, folder)
        if content is not None:
            parameters[name] = content
    return Written(agent.text(root / executor_input.OUTPUT_FILE, folder), parameters)


def with_files(given: Values) -> tuple[str, ...]:
    """Return the names of outputs that are files or folders. Blocking.

    What is in a store or a claim is taken to be there: from here it cannot be seen.
    """
    return tuple(
        name
        for name, listed in given.artifacts.items()
        if all(_exists(uris.path(each.uri)) for each in listed if uris.is_of_node(each.uri))
    )


def _exists(path: str) -> bool:
    # A step may have named anything, and what cannot be looked at is an error to `Path`.
    return os.path.exists(path)  # noqa: PTH110 - see above

"""Artifacts in a folder of the node: a step reads and writes them where they are.

The folder of the namespace is mounted at its own path, so that a path that one step writes down is right
for the next one. Nothing is copied, and nothing runs beside the step.
"""

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
_PRESENT: Final = {"name": "WHERRY_ARTIFACTS", "value": "direct"}
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
        draft.container.setdefault("env", []).append(dict(_PRESENT))


def mount_folder(draft: Draft, folder: Path) -> None:
    """Mount a folder of the node at its own path."""
    volume = {"name": _ARTIFACTS, "hostPath": {"path": str(folder)}}
    draft.own_volume(volume, {"name": _ARTIFACTS, "mountPath": str(folder)})


def make_folders(task_root: str) -> None:
    """Make the folders of a step's outputs. Blocking."""
    root = Path(uris.path(task_root))
    for folder in (root, root / executor_input.PARAMETERS_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        # Steps may run as any user.
        folder.chmod(_ANYONE)


def written(order: Order) -> Written:
    """Return what a step has written down. Blocking.

    Raises:
        TooLargeError: a file is too large.
        OSError: a file cannot be read.
    """
    root = Path(uris.path(order.task_root))
    parameters = {}
    for name in order.component.output_definitions.parameters:
        content = agent.text(root / executor_input.PARAMETERS_FOLDER / name)
        if content is not None:
            parameters[name] = content
    return Written(agent.text(root / executor_input.OUTPUT_FILE), parameters)


def with_files(given: Values) -> tuple[str, ...]:
    """Return the names of outputs that are files or folders. Blocking."""
    return tuple(
        name
        for name, listed in given.artifacts.items()
        if all(Path(uris.path(each.uri)).exists() for each in listed if uris.is_direct(each.uri))
    )

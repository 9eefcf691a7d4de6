"""Files of a node's pod in a folder of this machine. Blocking.

Steps write into the folder, and may put links there: what a path leads to counts only where it is in
the folder, and links inside of artifacts stay links.
"""

import contextlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wherry.metadata.artifacts import uris
from wherry.pipelines.staging import agent, removing
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.steps.outputs import OutputError
from wherry.pipelines.workflows.agent import modes
from wherry.pipelines.workflows.artifacts import in_pod
from wherry.pipelines.workflows.artifacts.order import Order
from wherry.pipelines.workflows.artifacts.plan import TMP, Input, Output, Plan
from wherry.pipelines.workflows.artifacts.targets import Target

_ANYONE: Final = 0o777
_ANYONE_OWN: Final = 0o1777
_DONE: Final = ".brought"
"""Beside the folders of a pod, where no step sees it: they are made, and inputs are in them."""


class LinkError(Exception):
    """A path leads out of the folder; the message says which."""


def prepare(order: Order, made: Plan, within: Path) -> None:
    """Make the folders of a pod, and put those inputs into them that are here.

    That is done once: afterwards the pod may be running, and what is in the folders is its own.

    Raises:
        StepError: an input is not there, or a folder would be outside of that of the namespace.
    """
    root = _root(order, within)
    done = root / _DONE
    if done.exists():
        return
    for name in made.volumes:
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        # Steps may run as any user.
        folder.chmod(_ANYONE_OWN if name == TMP else _ANYONE)
    for given in made.inputs:
        if in_pod.brought_here(given, order):
            _bring(given, root / given.place, root, within)
    done.touch()


def log(order: Order, output: Output, within: Path) -> Path:
    """Return where what a container says is to be written; the folder is there.

    Raises:
        StepError: it would be outside of the folder of the namespace.
    """
    path = _root(order, within) / output.place
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _root(order: Order, within: Path) -> Path:
    root = Path(uris.path(order.task_root))
    if not root.resolve().is_relative_to(within.resolve()):
        raise StepError(f"pipelineRoot: {order.task_root} is, or leads, outside of {within}")
    return root


def _bring(given: Input, target: Path, root: Path, within: Path) -> None:
    if os.path.lexists(target):
        return
    try:
        # An input that is there already may have links in it.
        _make_parent(target, root)
        if given.location.get("raw") is not None:
            text = str(given.location["raw"].get("data") or "")
            _write(text, target, given)
        else:
            whole = _real(Path(given.on_node), within)
            part = str(given.said.get("subPath") or "").lstrip("/")
            _copy(_real(whole / part, whole) if part else whole, target, given)
    except FileNotFoundError as error:
        if not given.said.get("optional"):
            raise StepError(f"{given.where}: {given.on_node} is not there any more") from error
    except (LinkError, OSError, shutil.Error) as error:
        raise StepError(f"{given.where}: {error}") from error


def parameter(order: Order, output: Output, within: Path) -> str | None:
    """Return what a step has written as an output parameter; None: there is no such file.

    Raises:
        OutputError: it cannot be read, or is too large.
    """
    path = Path(uris.path(order.task_root)) / output.place
    try:
        return agent.text(path, within)
    except NotADirectoryError:
        return None
    except (agent.TooLargeError, OSError) as error:
        raise OutputError(f"outputs.parameters.{output.said['name']}: {error}") from error


def keep(order: Order, target: Target, within: Path) -> bool:
    """Bring an output artifact to where it is kept; return whether there is one.

    Raises:
        OutputError: it cannot be kept.
    """
    source = Path(uris.path(order.task_root)) / target.output.place
    try:
        real = _real(source, within)
        if not target.stays:
            _replace(real, Path(uris.path(target.uri)), within)
    except FileNotFoundError:
        return False
    except (LinkError, OSError, shutil.Error, ValueError) as error:
        raise OutputError(f"outputs.artifacts.{target.name}: {error}") from error
    return True


def _real(path: Path, within: Path) -> Path:
    """Return what a path leads to.

    Raises:
        FileNotFoundError: there is nothing.
        LinkError: it leads out of the folder.
    """
    try:
        real = path.resolve(strict=True)
    except (NotADirectoryError, RuntimeError) as error:
        raise FileNotFoundError(str(error)) from error
    if not real.is_relative_to(within.resolve()):
        raise LinkError(f"{path.name}: a link to {real}, which is not among the artifacts")
    return real


def _replace(source: Path, target: Path, within: Path) -> None:
    _make_parent(target, within)
    with _draft(target) as draft:
        _copied(source, draft)
        removing.remove(target, within, ())


def _make_parent(target: Path, within: Path) -> None:
    """Make the folder that a path is in.

    Raises:
        LinkError: it would be outside of another one.
    """
    if not target.parent.resolve().is_relative_to(within.resolve()):
        raise LinkError(f"{target}: leads out of {within}")
    target.parent.mkdir(parents=True, exist_ok=True)


def _write(text: str, target: Path, given: Input) -> None:
    with _draft(target) as draft:
        draft.write_text(text, encoding="utf-8")
        modes.set_mode(draft, given.said)


def _copy(source: Path, target: Path, given: Input) -> None:
    with _draft(target) as draft:
        _copied(source, draft)
        modes.set_mode(draft, given.said)


@contextlib.contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """Give a name beside a path, which what is there gets in the end."""
    draft = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield draft
        draft.rename(target)
    finally:
        if draft.is_dir():
            shutil.rmtree(draft)
        draft.unlink(missing_ok=True)


def _copied(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, copy_function=_copy_file)
    else:
        _copy_file(str(source), str(target))


def _copy_file(source: str, target: str) -> str:
    """Copy a file: what is no regular one may never end."""
    mode = os.lstat(source).st_mode
    if stat.S_ISLNK(mode):
        Path(target).symlink_to(Path(source).readlink())
    elif stat.S_ISREG(mode):
        shutil.copy2(source, target, follow_symlinks=False)
    else:
        raise OSError(f"{source} is neither a file nor a folder")
    return target

"""How a step's Python finds Wherry's `kfp` runtime: mounted from here, or carried in a ConfigMap.

The ConfigMap is a run's own, which takes it along when it is deleted. Its name follows from its content:
a newer Wherry that takes a run over gives the steps that begin then its own runtime.
"""

import compileall
import functools
import hashlib
from typing import Final

from wherry.kubelet.launcher import choice
from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import kinds, naming
from wherry.pipelines.runtime import FOLDER
from wherry.pipelines.steps.draft import Draft

_NAME: Final = "wherry-kfp"
_PATH: Final = "/wherry/kfp"
_PRELOAD: Final = (
    "argparse,dataclasses,importlib.util,inspect,json,logging,pathlib,runpy,shutil,tempfile,typing"
)
"""What the runtime imports: half of a trivial step's time, and the same for all."""


def mount(draft: Draft, run: Object, *, here: bool) -> None:
    """Mount the runtime, and put it before what the user has on the path.

    Args:
        draft: The pod; changed in place.
        run: Whose pod.
        here: Whether the pod runs on this machine.
    """
    if here:
        source: Object = {"hostPath": {"path": _compiled(), "type": "Directory"}}
    else:
        items = [{"key": _key(name), "path": name} for name in _files()]
        source = {"configMap": {"name": _name(run), "items": items}}
    place = {"name": _NAME, "mountPath": _PATH, "readOnly": True}
    draft.own_volume({"name": _NAME, **source}, place)
    draft.annotations.setdefault(choice.PRELOAD, _PRELOAD)
    env = draft.container.setdefault("env", [])
    own = next((each for each in env if each["name"] == "PYTHONPATH" and "value" in each), None)
    if own is None:
        env.append({"name": "PYTHONPATH", "value": _PATH})
    else:
        own["value"] = f"{_PATH}:{own['value']}"


def config_map(run: Object) -> Object:
    """Return the object that carries the runtime to where this installation is not."""
    return {
        "apiVersion": core.CONFIG_MAPS.api_version,
        "kind": core.CONFIG_MAPS.kind,
        "metadata": {
            "name": _name(run),
            "namespace": metadata.namespace(run),
            "labels": {kinds.RUN_LABEL: naming.label(metadata.name(run))},
            "ownerReferences": [metadata.owner_reference(run)],
        },
        "immutable": True,
        "data": {_key(name): content for name, content in _files().items()},
    }


@functools.cache
def _compiled() -> str:
    """Return the folder here, with bytecode: steps cannot write it, and each would compile the runtime anew."""
    compileall.compile_dir(FOLDER, quiet=2)  # says nothing where the installation cannot be written
    return str(FOLDER)


@functools.cache
def _files() -> dict[str, str]:
    return {
        str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8")
        for path in sorted(FOLDER.rglob("*.py"))
    }


def _name(run: Object) -> str:
    return naming.runtime(run, _digest())


@functools.cache
def _digest() -> str:
    digest = hashlib.sha256()
    for name, content in _files().items():
        digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()


def _key(name: str) -> str:
    return name.replace("/", ".")

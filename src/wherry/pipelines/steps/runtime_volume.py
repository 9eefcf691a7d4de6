"""How a step's Python finds Wherry's `kfp` runtime: mounted from here, or carried in a ConfigMap."""

import functools
import hashlib
from typing import Final

from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.runtime import FOLDER
from wherry.pipelines.steps.draft import Draft

_NAME: Final = "wherry-kfp"
_PATH: Final = "/wherry/kfp"


def mount(draft: Draft, *, here: bool) -> None:
    """Mount the runtime, and put it before what the user has on the path.

    Args:
        draft: The pod; changed in place.
        here: Whether the pod runs on this machine.
    """
    source: Object = {"hostPath": {"path": str(FOLDER), "type": "Directory"}}
    if not here:
        items = [{"key": _key(name), "path": name} for name in _files()]
        source = {"configMap": {"name": _name(), "items": items}}
    place = {"name": _NAME, "mountPath": _PATH, "readOnly": True}
    draft.own_volume({"name": _NAME, **source}, place)
    env = draft.container.setdefault("env", [])
    own = next((each for each in env if each["name"] == "PYTHONPATH" and "value" in each), None)
    if own is None:
        env.append({"name": "PYTHONPATH", "value": _PATH})
    else:
        own["value"] = f"{_PATH}:{own['value']}"


def config_map(namespace: str) -> Object:
    """Return the object that carries the runtime to where this installation is not."""
    return {
        "apiVersion": core.CONFIG_MAPS.api_version,
        "kind": core.CONFIG_MAPS.kind,
        "metadata": {"name": _name(), "namespace": namespace},
        "immutable": True,
        "data": {_key(name): content for name, content in _files().items()},
    }


@functools.cache
def _files() -> dict[str, str]:
    return {
        str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8")
        for path in sorted(FOLDER.rglob("*.py"))
    }


@functools.cache
def _name() -> str:
    digest = hashlib.sha256()
    for name, content in _files().items():
        digest.update(f"{name}\0{content}\0".encode())
    return f"{_NAME}-{digest.hexdigest()[:16]}"


def _key(name: str) -> str:
    return name.replace("/", ".")

"""Whether a pod has put more on the disk than it may: `sizeLimit` of emptyDir, `ephemeral-storage`.

Processes write where nothing counts for us, so the folders are looked through now and then: only those
of pods that have such limits.

Source: the kubelet's `localStorageEviction` (what counts, order and messages). Here a container's own
part is its log and its home folder: it has no layer of its own.
"""

import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from wherry.kubelet import layout, specs
from wherry.objects import quantities
from wherry.objects.requests import Object

_BLOCK_BYTES = 512
_STORAGE = "ephemeral-storage"


def any_set(pod: Object) -> bool:
    """Return whether there is anything to watch."""
    limited = any(_limit(container) for container in specs.all_containers(pod))
    return limited or any(True for _ in _sized(pod))


def exceeded(pod: Object, where: layout.PodLayout) -> str:
    """Return which limit the pod is over, in words; empty if none. Reads folders: not for the loop.

    Args:
        pod: The pod.
        where: Its folders.
    """
    for volume, limit in _sized(pod):
        if used(_folder(volume, where)) > quantities.parse(limit):
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    return _over_storage(pod, where)


def _over_storage(pod: Object, where: layout.PodLayout) -> str:
    limits = {str(one["name"]): _limit(one) for one in specs.all_containers(pod)}
    if not any(limits.values()):
        return ""
    own: dict[str, int] = {}
    for name, limit in limits.items():
        own[name] = used(where.home(name)) + used(where.log(name, 0).parent)
        if limit and own[name] > quantities.parse(limit):
            return f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
    if not all(limits[str(one["name"])] for one in specs.containers(pod)):
        return ""
    volumes = sum(used(_folder(one, where)) for one in _empty_dirs(pod) if not _in_memory(one))
    whole = sum((quantities.parse(limit) for limit in limits.values() if limit), Decimal(0))
    if sum(own.values()) + volumes > whole:
        text = quantities.format(whole, like=next(filter(None, limits.values())))
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {text}. "
    return ""


def used(folder: Path) -> int:
    """Return what a folder takes on the disk, bytes; what goes meanwhile counts for nothing."""
    total = 0
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
        except OSError:
            continue
    return total


def _limit(container: Object) -> str:
    return str(((container.get("resources") or {}).get("limits") or {}).get(_STORAGE) or "")


def _empty_dirs(pod: Object) -> Iterable[Object]:
    return (one for one in pod["spec"].get("volumes") or () if one.get("emptyDir") is not None)


def _sized(pod: Object) -> Iterable[tuple[Object, str]]:
    for volume in _empty_dirs(pod):
        limit = volume["emptyDir"].get("sizeLimit")
        if limit and quantities.parse(limit) > 0:
            yield volume, str(limit)


def _in_memory(volume: Object) -> bool:
    return bool(volume["emptyDir"].get("medium") == "Memory")


def _folder(volume: Object, where: layout.PodLayout) -> Path:
    return where.volume("emptyDir", volume["name"], in_memory=_in_memory(volume))

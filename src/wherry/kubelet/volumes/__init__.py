"""The volume sources: add one file and one line."""

from wherry.kubelet.volume import Context, NotReadyError, Prepared, VolumeSource
from wherry.kubelet.volumes.config_map import ConfigMapVolume
from wherry.kubelet.volumes.downward_api import DownwardApiVolume
from wherry.kubelet.volumes.empty_dir import EmptyDirVolume
from wherry.kubelet.volumes.ephemeral import EphemeralVolume
from wherry.kubelet.volumes.host_path import HostPathVolume
from wherry.kubelet.volumes.persistent_volume_claim import PersistentVolumeClaimVolume
from wherry.kubelet.volumes.projected import ProjectedVolume
from wherry.kubelet.volumes.secret import SecretVolume
from wherry.objects.requests import Object

SOURCES: tuple[VolumeSource, ...] = (
    EmptyDirVolume(),
    ConfigMapVolume(),
    SecretVolume(),
    ProjectedVolume(),
    DownwardApiVolume(),
    HostPathVolume(),
    PersistentVolumeClaimVolume(),
    EphemeralVolume(),
)
_BY_NAME = {source.name: source for source in SOURCES}


async def prepare(context: Context) -> dict[str, Prepared]:
    """Prepare every volume of the pod; by the volume's name.

    Raises:
        NotReadyError: of the first volume that is not ready.
    """
    result: dict[str, Prepared] = {}
    for volume in context.pod["spec"].get("volumes") or []:
        result[volume["name"]] = await _source(volume).prepare(volume, context)
    return result


def _source(volume: Object) -> VolumeSource:
    for name, source in _BY_NAME.items():
        if volume.get(name) is not None:
            return source
    # A volume of nothing but a name is an empty one.
    named = sorted(set(volume) - {"name"})
    if not named:
        return _BY_NAME["emptyDir"]
    known = ", ".join(_BY_NAME)
    raise NotReadyError(
        f'volume "{volume["name"]}": source {named[0]} is not supported here; want one of {known}'
    )

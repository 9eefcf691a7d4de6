"""The volume that is bound to a claim."""

from wherry.kubelet.volume import Context, NotReadyError, Prepared
from wherry.kubelet.volumes import host_path
from wherry.objects import metadata
from wherry.objects.requests import Object


class PersistentVolumeClaimVolume:
    """`persistentVolumeClaim`: volumes with a `hostPath` or `local` path."""

    name = "persistentVolumeClaim"

    async def prepare(self, volume: Object, context: Context) -> Prepared:
        """Find the bound volume's path.

        Raises:
            NotReadyError: the claim is not bound, or its volume is of another kind.
        """
        source = volume["persistentVolumeClaim"]
        bound = await context.claim(str(source.get("claimName", "")), "")
        return prepared(bound, read_only=bool(source.get("readOnly")))


def prepared(bound: Object, *, read_only: bool) -> Prepared:
    """Return the folder of a PersistentVolume.

    Raises:
        NotReadyError: it is of a kind that cannot be mounted here.
    """
    spec = bound["spec"]
    place = spec.get("hostPath") or spec.get("local")
    if not place:
        raise NotReadyError(
            f'persistentvolume "{metadata.name(bound)}" has neither hostPath nor local: '
            "no other source can be mounted here"
        )
    path = host_path.resolve(str(place.get("path", "")), str(place.get("type") or ""))
    only_readers = spec.get("accessModes") == ["ReadOnlyMany"]
    return Prepared(path, read_only=read_only or only_readers)

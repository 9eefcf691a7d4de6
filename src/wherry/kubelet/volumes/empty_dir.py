"""An empty folder that lives as long as the pod."""

from wherry.kubelet.volume import Context, Prepared
from wherry.objects.requests import Object


class EmptyDirVolume:
    """`emptyDir`: on disk, or with medium `Memory` on the machine's memory file system.

    A pod that goes beyond `sizeLimit` is evicted (`disk_limits`).
    """

    name = "emptyDir"

    async def prepare(self, volume: Object, context: Context) -> Prepared:
        """Make the folder, open to every user as upstream's is."""
        in_memory = (volume.get("emptyDir") or {}).get("medium") == "Memory"
        path = context.layout.volume(self.name, volume["name"], in_memory=in_memory)
        if not path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o777)
        return Prepared(path)

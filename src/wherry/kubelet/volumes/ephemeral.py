"""The volume whose claim was made for this pod alone."""

from wherry.kubelet.volume import Context, Prepared
from wherry.kubelet.volumes import persistent_volume_claim
from wherry.objects import metadata
from wherry.objects.requests import Object


class EphemeralVolume:
    """`ephemeral`: a claim ``<pod>-<volume>``, which a controller makes and the pod owns."""

    name = "ephemeral"

    async def prepare(self, volume: Object, context: Context) -> Prepared:
        """Find the bound volume's path.

        Raises:
            NotReadyError: the claim is not there, not bound or not this pod's.
        """
        name = f"{metadata.name(context.pod)}-{volume['name']}"
        bound = await context.claim(name, metadata.uid(context.pod))
        return persistent_volume_claim.prepared(bound, read_only=False)

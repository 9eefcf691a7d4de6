"""What a pod asks of an image: name, policy, which runtime, and the secrets for its registry."""

import functools
from collections.abc import Callable

from wherry.kubelet.environments import requirements
from wherry.kubelet.runtime import ImageRequest
from wherry.kubelet.selection import ANNOTATION
from wherry.kubelet.shared import Shared
from wherry.objects import metadata
from wherry.objects.requests import Object

Warn = Callable[[str, str], None]
"""Says a warning event: reason and message."""


def of(container: Object, pod: Object, shared: Shared, warn: Warn) -> ImageRequest:
    """Return what is asked for a container.

    Args:
        container: Its entry in the pod.
        pod: The pod.
        shared: Finds secrets.
        warn: Told of secrets that are missing, at each pull.
    """
    annotations = metadata.annotations(pod)
    layers = (requirements.ANNOTATION, f"{requirements.ANNOTATION}.{container.get('name')}")
    return ImageRequest(
        name=str(container.get("image") or ""),
        policy=str(container.get("imagePullPolicy") or "IfNotPresent"),
        runtime=annotations.get(ANNOTATION, ""),
        requirements="\n".join(filter(None, (annotations.get(layer) for layer in layers))),
        secrets=functools.partial(_secrets, pod, shared, warn),
    )


async def _secrets(pod: Object, shared: Shared, warn: Warn) -> list[Object]:
    names = [str(one.get("name") or "") for one in pod["spec"].get("imagePullSecrets") or []]
    namespace = metadata.namespace(pod)
    found = {
        name: await shared.lookup(namespace, "secret", name)
        for name in dict.fromkeys(names)
        if name
    }
    missing = [name for name, secret in found.items() if secret is None]
    if missing:
        warn(
            "FailedToRetrieveImagePullSecret",
            f"Unable to retrieve some image pull secrets ({', '.join(missing)}); attempting to pull "
            "the image may not succeed.",
        )
    return [secret for secret in found.values() if secret is not None]

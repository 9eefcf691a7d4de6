"""What runs an image's own command in its place: said by who makes a pod and does not know that command. Pure."""

import json
from typing import Final

from wherry.objects.requests import Object

ANNOTATION: Final = "wherry.dev/run-by"
"""Of a pod, with ``.<container>``: words, as a JSON list, that come before the command of the image. They count
where the container has no command of its own."""
_MOST: Final = 64


def words(pod: Object, container: Object) -> tuple[str, ...]:
    """Return the words that come before a container's command; none where that is the pod's own."""
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    told = annotations.get(f"{ANNOTATION}.{container.get('name')}")
    if not told or container.get("command"):
        return ()
    try:
        found = json.loads(told)
    except ValueError:
        return ()
    if not isinstance(found, list) or len(found) > _MOST:
        return ()
    return tuple(str(each) for each in found)

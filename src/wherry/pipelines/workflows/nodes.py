"""Nodes as a workflow's status has them: as they are, or packed where they are large. Pure.

Source: argo-workflows after 4.1.2, ``workflow/packer``.
"""

import base64
import gzip
import io
import json
from collections.abc import Mapping
from typing import Any, Final

from wherry.objects.requests import Object

LARGEST: Final = 1024 * 1024
"""Nodes that are larger, as JSON, are packed, as upstream does."""
_MOST_UNPACKED: Final = 256 * 1024 * 1024


def packed(nodes: Mapping[str, Object]) -> Object:
    """Return nodes as a status has them: as they are, or packed where they are large."""
    text = json.dumps(nodes, separators=(",", ":")).encode()
    if len(text) <= LARGEST:
        return {"nodes": dict(nodes)} if nodes else {}
    return {"compressedNodes": base64.b64encode(gzip.compress(text, 1, mtime=0)).decode()}


def stored(workflow: Object) -> dict[str, Object]:
    """Return the nodes of a workflow by its status, packed or not; what is none of these is left out."""
    status: Mapping[str, Any] = workflow.get("status") or {}
    found = status.get("nodes")
    text = status.get("compressedNodes")
    if not found and isinstance(text, str) and text:
        try:
            with gzip.GzipFile(fileobj=_reader(text)) as file:
                found = json.loads(file.read(_MOST_UNPACKED))
        except (OSError, ValueError, EOFError):
            found = None
    return {key: each for key, each in (found or {}).items() if isinstance(each, dict)}


def _reader(text: str) -> io.BytesIO:
    return io.BytesIO(base64.b64decode(text))

"""Unpacks the files that a component has brought along."""

import base64
import io
import os
import sys
import tarfile
import tempfile
from typing import Any


def wherry_unpack(archive: str, file: str) -> "dict[str, Any]":
    """Unpack an archive; what is in it can be imported.

    Args:
        archive: A compressed tar file in base64.
        file: The one file in it; empty: it is a folder's content.

    Returns:
        What the executor looks for in the module of a component, and the folder, which goes when nobody holds it.
    """
    folder = tempfile.TemporaryDirectory(prefix="embedded-")
    # Python before 3.11.4 has no filter that could be asked for.
    safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(archive)), mode="r:gz") as opened:
        opened.extractall(folder.name, **safely)  # noqa: S202 - it comes with the code
    sys.path.insert(0, folder.name)
    found: dict[str, Any] = {
        "__KFP_EMBEDDED_ASSET_DIR": folder.name,
        "wherry_embedded_folder": folder,
    }
    if file:
        found["__KFP_EMBEDDED_ASSET_FILE"] = os.path.join(folder.name, file)  # noqa: PTH118 - a string is asked for
    return found

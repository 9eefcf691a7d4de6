"""Brings a blob to a file: continued where it broke off, checked against its digest.

A file of the final name is always whole; what is on its way is called `.part`, also after a crash.
"""

import asyncio
import hashlib
import os
from pathlib import Path

from wherry.kubelet.oci.manifests import Descriptor
from wherry.kubelet.oci.registry import Access, Registry, RegistryError, pause

_CHUNK_BYTES = 1024 * 1024
_ATTEMPTS = 4


async def fetch(registry: Registry, access: Access, blob: Descriptor, target: Path) -> None:
    """Make `target` hold the blob. Nothing is asked of the registry if it does already.

    Args:
        registry: Where from.
        access: The image.
        blob: What.
        target: Its folder must exist; nobody else may write to it meanwhile.

    Raises:
        RegistryError: it cannot be had, or is not what its digest says.
        OSError: it cannot be written.
    """
    if await asyncio.to_thread(target.exists):
        return
    part = target.with_name(f"{target.name}.part")
    for attempt in range(_ATTEMPTS):
        try:
            await _attempt(registry, access, blob, part)
            part.replace(target)
        except RegistryError as error:
            if not error.passing or attempt == _ATTEMPTS - 1:
                raise
            await pause(attempt)
        else:
            return


async def _attempt(registry: Registry, access: Access, blob: Descriptor, part: Path) -> None:
    have = _begun(part, blob.size)
    if have < blob.size:
        async with registry.stream(access, blob.digest, offset=have) as answer:
            if answer.status != 206:
                have = 0
            with part.open("ab" if have else "wb") as file:
                async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                    have += len(chunk)
                    if have > blob.size:
                        break
                    await asyncio.to_thread(file.write, chunk)
    if have < blob.size:
        raise RegistryError(
            f"blob {blob.digest} ended after {have} of {blob.size} bytes", passing=True
        )
    found = await asyncio.to_thread(_digest_of, part, blob.digest.partition(":")[0])
    if found != blob.digest or have > blob.size:
        os.unlink(part)  # noqa: PTH108 - quick; the pathlib form is taken for slow here
        raise RegistryError(f"blob {blob.digest} came with another content ({found})", passing=True)


def _digest_of(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def _begun(part: Path, size: int) -> int:
    """Return how much is there already; more than there can be is thrown away."""
    try:
        have = part.stat().st_size
    except FileNotFoundError:
        return 0
    if have > size:
        part.unlink()
        return 0
    return have

"""The keys of a Secret as files, off the disk where the machine has a memory file system."""

import base64

from wherry.kubelet import payloads, users
from wherry.kubelet.volume import Context, NotReadyError, Prepared
from wherry.objects.requests import Object


class SecretVolume:
    """`secret`: follows changes of the object."""

    name = "secret"

    async def prepare(self, volume: Object, context: Context) -> Prepared:
        """Write the files that the Secret has now."""
        source = volume["secret"]
        reference = {**source, "name": source.get("secretName", "")}
        mode = int(source.get("defaultMode") or payloads.DEFAULT_MODE)
        files = await read(reference, context, mode=mode)
        path = context.layout.volume(self.name, volume["name"], in_memory=True)
        payloads.write(path, files, gid=users.of_files(context.pod).gid)
        return Prepared(path, read_only=True)


async def read(source: Object, context: Context, *, mode: int) -> dict[str, payloads.File]:
    """Return the files that a secret source asks for; its ``name`` is the Secret's.

    Raises:
        NotReadyError: the Secret or a key is missing and not optional.
    """
    name, optional = str(source.get("name", "")), bool(source.get("optional"))
    found = await context.lookup("secret", name)
    if found is None:
        if optional:
            return {}
        raise NotReadyError(f'secret "{name}" not found')
    data = {key: base64.b64decode(text) for key, text in (found.get("data") or {}).items()}
    try:
        return payloads.select(data, source.get("items"), mode=mode, optional=optional)
    except payloads.PayloadError as error:
        raise NotReadyError(f'secret "{name}": {error}') from error

"""The keys of a ConfigMap as files."""

import base64

from wherry.kubelet import payloads, users
from wherry.kubelet.volume import Context, NotReadyError, Prepared
from wherry.objects.requests import Object


class ConfigMapVolume:
    """`configMap`: follows changes of the object."""

    name = "configMap"

    async def prepare(self, volume: Object, context: Context) -> Prepared:
        """Write the files that the ConfigMap has now."""
        source = volume["configMap"]
        mode = int(source.get("defaultMode") or payloads.DEFAULT_MODE)
        files = await read(source, context, mode=mode)
        path = context.layout.volume(self.name, volume["name"])
        payloads.write(path, files, gid=users.of_files(context.pod).gid)
        return Prepared(path, read_only=True)


async def read(source: Object, context: Context, *, mode: int) -> dict[str, payloads.File]:
    """Return the files that a `configMap` source asks for.

    Raises:
        NotReadyError: the ConfigMap or a key is missing and not optional.
    """
    name, optional = str(source.get("name", "")), bool(source.get("optional"))
    found = await context.lookup("configMap", name)
    if found is None:
        if optional:
            return {}
        raise NotReadyError(f'configmap "{name}" not found')
    data = {key: str(text).encode() for key, text in (found.get("data") or {}).items()}
    for key, text in (found.get("binaryData") or {}).items():
        data[key] = base64.b64decode(text)
    try:
        return payloads.select(data, source.get("items"), mode=mode, optional=optional)
    except payloads.PayloadError as error:
        raise NotReadyError(f'configmap "{name}": {error}') from error

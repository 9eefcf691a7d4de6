"""The pod's own fields as files."""

from wherry.kubelet import fields, payloads, users
from wherry.kubelet.volume import Context, NotReadyError, Prepared
from wherry.objects.requests import Object


class DownwardApiVolume:
    """`downwardAPI`: follows changes of labels and annotations."""

    name = "downwardAPI"

    async def prepare(self, volume: Object, context: Context) -> Prepared:
        """Write the files with what the fields say now."""
        source = volume["downwardAPI"]
        files = read(source, context, mode=int(source.get("defaultMode") or payloads.DEFAULT_MODE))
        path = context.layout.volume(self.name, volume["name"])
        payloads.write(path, files, gid=users.of_files(context.pod).gid)
        return Prepared(path, read_only=True)


def read(source: Object, context: Context, *, mode: int) -> dict[str, payloads.File]:
    """Return the files that the items ask for.

    Raises:
        NotReadyError: an item names a field or path that is not allowed.
    """
    result: dict[str, payloads.File] = {}
    try:
        for item in source.get("items") or []:
            own = item.get("mode")
            result[payloads.relative_path(str(item["path"]))] = payloads.File(
                _text(item, context).encode(), mode if own is None else int(own)
            )
    except (fields.FieldError, payloads.PayloadError, ValueError) as error:
        raise NotReadyError(f"downwardAPI: {error}") from error
    return result


def _text(item: Object, context: Context) -> str:
    if item.get("fieldRef"):
        return fields.field(context.pod, str(item["fieldRef"].get("fieldPath")), context.around)
    if item.get("resourceFieldRef"):
        return fields.resource(context.pod, item["resourceFieldRef"], context.around)
    raise fields.FieldError(f"item {item['path']!r} needs fieldRef or resourceFieldRef")

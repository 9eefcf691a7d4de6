"""Several sources in one folder: how pods get their token, the CA and their namespace."""

from dataclasses import dataclass, field

from wherry.kubelet import payloads, users
from wherry.kubelet.volume import Context, NotReadyError, Prepared
from wherry.kubelet.volumes import config_map, downward_api, secret
from wherry.objects import errors
from wherry.objects.requests import Object

_TOKEN_SECONDS = 3600
_CLOSED_MODE = 0o600
"""Of a token in a pod that says whose its files are."""


@dataclass
class _Collected:
    files: dict[str, payloads.File] = field(default_factory=dict)
    refresh_at: float | None = None


class ProjectedVolume:
    """`projected`: configMap, secret, downwardAPI and serviceAccountToken together."""

    name = "projected"

    async def prepare(self, volume: Object, context: Context) -> Prepared:
        """Write all sources' files; tokens are renewed before they end."""
        projected = volume["projected"]
        mode = int(projected.get("defaultMode") or payloads.DEFAULT_MODE)
        collected = _Collected()
        for source in projected.get("sources") or []:
            await _add(source, context, mode, collected)
        path = context.layout.volume(self.name, volume["name"], in_memory=True)
        payloads.write(path, collected.files, gid=users.of_files(context.pod).gid)
        return Prepared(path, read_only=True, refresh_at=collected.refresh_at)


async def _add(source: Object, context: Context, mode: int, into: _Collected) -> None:
    if source.get("configMap") is not None:
        into.files |= await config_map.read(source["configMap"], context, mode=mode)
    elif source.get("secret") is not None:
        into.files |= await secret.read(source["secret"], context, mode=mode)
    elif source.get("downwardAPI") is not None:
        into.files |= downward_api.read(source["downwardAPI"], context, mode=mode)
    elif source.get("serviceAccountToken") is not None:
        await _add_token(source["serviceAccountToken"], context, mode, into)
    else:
        raise NotReadyError(
            f"projected source {', '.join(source) or '(none)'} is not supported here; want "
            "configMap, secret, downwardAPI or serviceAccountToken"
        )


async def _add_token(source: Object, context: Context, mode: int, into: _Collected) -> None:
    seconds = int(source.get("expirationSeconds") or _TOKEN_SECONDS)
    try:
        path = payloads.relative_path(str(source.get("path", "")))
        token = await context.tokens.get(context.pod, str(source.get("audience") or ""), seconds)
    except payloads.PayloadError as error:
        raise NotReadyError(f"serviceAccountToken: {error}") from error
    except errors.ApiError as error:
        raise NotReadyError(f"failed to fetch token: {error.message}") from error
    owner = users.of_files(context.pod)
    if owner != users.OWN:
        mode = _CLOSED_MODE
    into.files[path] = payloads.File(token.text.encode(), mode, owner.uid)
    if into.refresh_at is None or token.renew_at < into.refresh_at:
        into.refresh_at = token.renew_at

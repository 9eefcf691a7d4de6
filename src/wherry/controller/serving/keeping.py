"""The certificate that all replicas of a server share, in a Secret."""

import asyncio
import base64
import contextlib
import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from wherry.client.client import Client
from wherry.controller.serving import certificates
from wherry.objects import errors, kinds
from wherry.objects.requests import Object


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where a certificate is kept.

    Attributes:
        namespace: Of the Secret.
        name: Of the Secret, whose type is ``kubernetes.io/tls``.
    """

    namespace: str
    name: str

    async def pair(self, client: Client, names: Sequence[str]) -> certificates.Pair:
        """Return the pair of the Secret, or a new one where that has none that will do.

        Args:
            client: May get, create and update the Secret.
            names: Host names and addresses that it has to be good for, at least one.

        Raises:
            ApiError: the Secret cannot be read or written.
        """
        while True:
            now = datetime.datetime.now(datetime.UTC)
            secret = await self._read(client)
            held = _pair(secret) if secret is not None else None
            if held is not None and held.covers(names, now):
                return held
            pair = await asyncio.to_thread(certificates.make, names, now)
            with contextlib.suppress(errors.AlreadyExistsError, errors.ConflictError):
                await self._write(client, pair, secret)
                return pair
            # Another replica was quicker: its pair will do.

    async def _read(self, client: Client) -> Object | None:
        try:
            return await client.get(kinds.SECRETS, self.name, self.namespace)
        except errors.NotFoundError:
            return None

    async def _write(self, client: Client, pair: certificates.Pair, before: Object | None) -> None:
        data = {
            "tls.crt": base64.b64encode(pair.certificate).decode(),
            "tls.key": base64.b64encode(pair.key).decode(),
        }
        if before is not None:
            await client.update(kinds.SECRETS, {**before, "data": data})
            return
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "type": "kubernetes.io/tls",
            "data": data,
        }
        await client.create(kinds.SECRETS, secret)


def _pair(secret: Object) -> certificates.Pair:
    data = secret.get("data") or {}
    certificate, key = (base64.b64decode(data.get(name, "")) for name in ("tls.crt", "tls.key"))
    return certificates.Pair(certificate, key)

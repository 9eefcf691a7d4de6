"""`wherry apply`: create what files describe, or change what is there to be like it."""

import asyncio
import sys
import time
from argparse import Namespace

from wherry.cli import failures, manifests, session, targets, three_way
from wherry.cli.progress import Progress
from wherry.cli.session import Session
from wherry.objects import conditions, errors, kinds, metadata, openapi, requests
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_ATTEMPTS = 5
_ESTABLISHED_SECONDS = 30.0
_POLL_SECONDS = 0.05


def run(options: Namespace) -> int:
    """Apply all that can be, tell of each, and fail if one could not."""
    return session.run(options, _apply)


async def _apply(opened: Session, options: Namespace) -> int:
    applying = _Applying(opened)
    code = failures.SUCCESS
    for manifest in manifests.read(options.filename):
        try:
            if manifest.error:
                raise failures.CommandError(manifest.error)
            print(await applying.apply(manifest.obj), flush=True)
        except (errors.ApiError, failures.CommandError) as error:
            print(f"wherry: {manifest.place}: {error}", file=sys.stderr)
            code = failures.FAILURE
    return code


class _Applying:
    def __init__(self, opened: Session) -> None:
        self._session = opened
        self._definitions: dict[tuple[str, str], str] = {}

    async def apply(self, obj: Object) -> str:
        """Bring one object about; return ``job.batch/x created``."""
        await self._wait_for_definition(obj)
        resource = await self._session.resources.by_kind(obj["apiVersion"], obj["kind"])
        wanted = three_way.annotated(self._placed(obj, resource))
        done = await self._bring_about(resource, wanted)
        if resource.key == kinds.CUSTOM_RESOURCE_DEFINITIONS.key:
            spec = obj.get("spec") or {}
            served = (str(spec.get("group")), str((spec.get("names") or {}).get("kind")))
            self._definitions[served] = metadata.name(obj)
        return f"{targets.called(resource, metadata.name(obj))} {done}"

    def _placed(self, obj: Object, resource: Resource) -> Object:
        if not resource.namespaced:
            return obj
        own = metadata.namespace(obj)
        if self._session.chosen and own and own != self._session.namespace:
            raise failures.CommandError(
                f"metadata.namespace: the object says {own!r}, --namespace says "
                f"{self._session.namespace!r}"
            )
        return {**obj, "metadata": {**obj["metadata"], "namespace": own or self._session.namespace}}

    async def _bring_about(self, resource: Resource, wanted: Object) -> str:
        client = self._session.client
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                present = await client.get(
                    resource, metadata.name(wanted), metadata.namespace(wanted)
                )
            except errors.NotFoundError:
                try:
                    await client.create(resource, wanted)
                except errors.AlreadyExistsError:
                    continue
                return "created"
            try:
                return await self._change(resource, present, wanted)
            except errors.ConflictError:
                if attempt == _ATTEMPTS:
                    raise
        raise failures.CommandError("others create and delete it all the time; try again")

    async def _change(self, resource: Resource, present: Object, wanted: Object) -> str:
        native = kinds.by_kind(resource.api_version, resource.kind) is not None
        root = openapi.schema_for(resource.api_version, resource.kind).root if native else None
        change = three_way.patch(three_way.last_applied(present), wanted, present, root)
        if not change:
            return "unchanged"
        after = await self._session.client.patch(
            resource,
            metadata.name(wanted),
            change,
            metadata.namespace(wanted),
            content_type=requests.STRATEGIC_MERGE_PATCH if native else requests.MERGE_PATCH,
        )
        same = metadata.resource_version(after) == metadata.resource_version(present)
        return "unchanged" if same else "configured"

    async def _wait_for_definition(self, obj: Object) -> None:
        group = str(obj["apiVersion"]).rpartition("/")[0]
        name = self._definitions.pop((group, str(obj["kind"])), "")
        if not name:
            return
        deadline = time.monotonic() + _ESTABLISHED_SECONDS
        with Progress() as progress:
            while time.monotonic() < deadline:
                definition = await self._session.client.get(kinds.CUSTOM_RESOURCE_DEFINITIONS, name)
                if conditions.is_true(definition, "Established"):
                    return
                progress.show(f"waiting for customresourcedefinition/{name} to be established")
                await asyncio.sleep(_POLL_SECONDS)
        raise failures.CommandError(
            f"customresourcedefinition {name} was not established within "
            f"{_ESTABLISHED_SECONDS:.0f} s; `wherry why crd/{name}` says why"
        )

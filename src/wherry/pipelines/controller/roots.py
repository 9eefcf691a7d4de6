"""Where a run's artifacts go, and so how its steps reach them."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wherry.client.client import Client
from wherry.metadata.artifacts import providers, uris
from wherry.metadata.artifacts.providers import Providers, ProvidersError
from wherry.metadata.records import Values
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import naming
from wherry.pipelines.pipeline import Pipeline
from wherry.pipelines.staging import agent, direct
from wherry.pipelines.staging.direct import DirectPlaces
from wherry.pipelines.staging.staged import Agent, Stage, StagedPlaces
from wherry.pipelines.steps import runtime_volume
from wherry.pipelines.steps.draft import DELIVER
from wherry.pipelines.steps.order import Order
from wherry.pipelines.steps.outputs import OutputError, Written
from wherry.pipelines.steps.places import Places


class RootError(Exception):
    """A run's artifacts have no place to go; the message says what to set."""


@dataclass(frozen=True, slots=True)
class Root:
    """Where the artifacts of a run go.

    Attributes:
        uri: The pipeline root.
        config: What the namespace says of stores.
    """

    uri: str
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def direct(self) -> bool:
        """Whether it is a folder of the node."""
        return uris.parse(self.uri).scheme == "file"


@dataclass(frozen=True, slots=True)
class Found:
    """What a step has left.

    Attributes:
        written: What it has written down.
        files: Names of its outputs that are files or folders; None: it has to be looked.
    """

    written: Written
    files: tuple[str, ...] | None


class Roots:
    """The places of artifacts of one platform."""

    def __init__(self, client: Client, folder: Path | None, agent_: Agent) -> None:
        """Take what it works with.

        Args:
            client: Reads the settings of namespaces, and what was told in logs.
            folder: Of this machine, whose pods can mount it; None: pods run elsewhere.
            agent_: What brings artifacts where steps cannot reach them.
        """
        self._client = client
        self._folder = folder
        self._agent = agent_
        self._carried: set[str] = set()

    @property
    def here(self) -> bool:
        """Whether pods run on this machine."""
        return self._folder is not None

    async def of(self, run: Object, pipeline: Pipeline) -> Root:
        """Return the pipeline root of a run.

        Raises:
            RootError: there is none that can be used.
        """
        namespace = metadata.namespace(run)
        config = await self._config(namespace)
        wanted = str((run["spec"].get("runtimeConfig") or {}).get("pipelineRoot") or "")
        wanted = wanted or pipeline.spec.default_pipeline_root
        try:
            wanted = wanted or Providers(config).default_root
            if wanted:
                uris.parse(wanted)
        except (uris.UriError, ProvidersError) as error:
            raise RootError(f"pipeline root: {error}") from error
        if wanted:
            return Root(uris.normal(wanted), config)
        if self._folder is None:
            raise RootError(
                "no pipeline root: set spec.runtimeConfig.pipelineRoot, or defaultPipelineRoot "
                f"in the ConfigMap {providers.CONFIG_MAP} of the namespace, to a URL such as "
                "s3://bucket/folder or pvc://claim/folder"
            )
        return Root(uris.normal(str(self._own(namespace))), config)

    def places(self, root: Root, order: Order) -> Places:
        """Return how a step reaches its artifacts.

        Raises:
            RootError: it cannot.
        """
        stage = self.stage(root)
        if not root.direct:
            return StagedPlaces(stage)
        if self._folder is None:
            raise RootError(f"pipeline root {root.uri}: no folder that all nodes have; use pvc://")
        return DirectPlaces(self.folder(order), stage)

    def folder(self, order: Order) -> Path:
        """Return the folder of this machine that is a run's namespace's."""
        return self._own(metadata.namespace(order.run))

    def stage(self, root: Root) -> Stage:
        """Return what brings artifacts to and from stores.

        Raises:
            RootError: what the namespace says of stores cannot be read.
        """
        if not self.here and not self._agent.image:
            raise RootError(
                "nothing brings artifacts to steps: set the option pipelines-agent-image to an "
                "image with Wherry and the packages for the store"
            )
        try:
            return Stage(self._agent, Providers(dict(root.config), root.uri))
        except ProvidersError as error:
            raise RootError(f"ConfigMap {providers.CONFIG_MAP}: {error}") from error

    async def prepare(self, root: Root, order: Order) -> None:
        """Make what a step's pod counts on."""
        if root.direct:
            await asyncio.to_thread(direct.make_folders, order.task_root)
        namespace = metadata.namespace(order.run)
        if not self.here and namespace not in self._carried:
            with contextlib.suppress(errors.AlreadyExistsError):
                await self._client.create(core.CONFIG_MAPS, runtime_volume.config_map(namespace))
            self._carried.add(namespace)

    async def found(self, root: Root, order: Order, pod: Object) -> Found:
        """Return what a step has left that has ended well.

        Raises:
            OutputError: it has left too much, or it was not told.
            ApiError: it cannot be asked for.
        """
        if not root.direct:
            return await self._told(pod)
        try:
            return Found(await asyncio.to_thread(direct.written, order), None)
        except (agent.TooLargeError, OSError) as error:
            raise OutputError(str(error)) from error

    async def files(self, given: Values) -> tuple[str, ...]:
        """Return the names of outputs in folders of this machine that are files or folders."""
        return await asyncio.to_thread(direct.with_files, given)

    async def _told(self, pod: Object) -> Found:
        name, namespace = metadata.name(pod), metadata.namespace(pod)
        read = bytearray()
        async for chunk in self._client.log(name, namespace, container=DELIVER):
            read += chunk
        for line in reversed(bytes(read).decode(errors="replace").splitlines()):
            if line.startswith(agent.MARK):
                told = json.loads(line.removeprefix(agent.MARK))
                written = Written(told["metadata"], told["parameters"])
                return Found(written, tuple(told["files"]))
        raise OutputError(f"container {DELIVER} has not told what the step gave")

    async def _config(self, namespace: str) -> Mapping[str, str]:
        try:
            found = await self._client.get(core.CONFIG_MAPS, providers.CONFIG_MAP, namespace)
        except errors.NotFoundError:
            return {}
        return found.get("data") or {}

    def _own(self, namespace: str) -> Path:
        assert self._folder is not None
        return self._folder / naming.folder(namespace)

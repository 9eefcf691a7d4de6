"""Where a run's artifacts go, and so how its steps reach them."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from wherry.client.client import Client
from wherry.controller import apply
from wherry.metadata.artifacts import configured, providers, uris
from wherry.metadata.artifacts.providers import Providers, ProvidersError
from wherry.metadata.records import Execution, Values
from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import naming
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.staging import agent, direct, removing
from wherry.pipelines.staging.direct import DirectPlaces
from wherry.pipelines.staging.staged import Agent, Stage, StagedPlaces
from wherry.pipelines.steps import pod as pods
from wherry.pipelines.steps import runtime_volume
from wherry.pipelines.steps.draft import DELIVER
from wherry.pipelines.steps.order import Order
from wherry.pipelines.steps.outputs import OutputError, Written
from wherry.pipelines.steps.places import Places

FILES: Final = "files"
"""Property of a row: names of the outputs that have files; the others are only metadata."""
_MOST_TOLD: Final = 8 * agent.LARGEST


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

    @property
    def here(self) -> bool:
        """Whether pods run on this machine."""
        return self._folder is not None

    async def of(self, run: Object, pipeline: Pipeline) -> Root:
        """Return the pipeline root of a run.

        Raises:
            RootError: there is none that can be used.
        """
        wanted = str((run["spec"].get("runtimeConfig") or {}).get("pipelineRoot") or "")
        return await self.at(metadata.namespace(run), wanted or pipeline.spec.default_pipeline_root)

    async def at(self, namespace: str, wanted: str = "") -> Root:
        """Return the pipeline root of what runs in a namespace.

        Args:
            namespace: Where.
            wanted: The root it names itself; empty: none.

        Raises:
            RootError: there is none that can be used.
        """
        config = await configured.config(self._client, namespace)
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
        return Root(uris.normal(str(self.own(namespace))), config)

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
        return self.own(metadata.namespace(order.run))

    def stage(self, root: Root) -> Stage:
        """Return what brings artifacts to and from stores.

        Raises:
            RootError: what the namespace says of stores cannot be read.
        """
        try:
            return Stage(self.agent, Providers(dict(root.config), root.uri))
        except ProvidersError as error:
            raise RootError(f"ConfigMap {providers.CONFIG_MAP}: {error}") from error

    @property
    def agent(self) -> Agent:
        """What brings artifacts to and from steps.

        Raises:
            RootError: pods run elsewhere, and nobody has said what would.
        """
        if not self.here and not self._agent.image:
            raise RootError(
                "nothing brings artifacts to steps: set the option pipelines-agent-image to an "
                "image with Wherry and the packages for the store"
            )
        return self._agent

    async def carry(self, run: Object, pipeline: Pipeline) -> None:
        """Have our runtime be where the pods of a run can mount it; it goes with the run.

        Raises:
            ForeignOwnerError: something else has its name.
            ApiError: the API refused it.
        """
        if not self.here and pods.any_launched(pipeline):
            made = runtime_volume.config_map(run)
            await apply.create_if_absent(self._client, None, core.CONFIG_MAPS, made)

    async def prepare(self, root: Root, order: Order) -> None:
        """Make what a step's pod counts on.

        Raises:
            StepError: its outputs would not be where steps may write.
        """
        if root.direct and self.here:
            await asyncio.to_thread(direct.make_folders, order.task_root, self.folder(order))

    async def found(self, root: Root, order: Order, pod: Object) -> Found:
        """Return what a step has left that has ended well.

        Raises:
            OutputError: it has left too much, or it was not told.
            ApiError: it cannot be asked for.
        """
        if not root.direct:
            told = await self.told(pod)
            return Found(Written(told["metadata"], told["parameters"]), tuple(told["files"]))
        try:
            return Found(await asyncio.to_thread(direct.written, order, self.folder(order)), None)
        except (agent.TooLargeError, OSError) as error:
            raise OutputError(str(error)) from error

    async def still_there(self, execution: Execution) -> bool:
        """Return whether the files of an earlier result are; outputs that never had any do not count.

        What is in a store or a claim is taken to be there: it cannot be seen from here.
        """
        if not self.here:
            return True
        kept = execution.properties.get(FILES)
        names = execution.outputs.artifacts if kept is None else kept
        held = {name: execution.outputs.artifacts.get(name, ()) for name in names}
        return len(await self.files(Values(artifacts=held))) == len(held)

    async def of_gone(self, uri: str, namespace: str) -> Root:
        """Return the pipeline root of a run whose object is gone.

        Raises:
            ApiError: what the namespace says of stores cannot be asked for.
        """
        return Root(uri, await configured.config(self._client, namespace))

    async def remove(self, namespace: str, remove: Sequence[str], keep: Sequence[str]) -> None:
        """Remove what a run has left in the folder of this machine that is its namespace's.

        Args:
            namespace: Of the run.
            remove: URIs of what goes; what is elsewhere stays.
            keep: URIs of what stays in it.

        Raises:
            OSError: it cannot be removed.
        """
        if self._folder is None:
            return
        within = self.own(namespace)
        stays = [Path(uris.path(each)) for each in keep if uris.is_of_node(each)]
        for path in (Path(uris.path(uri)) for uri in remove if uris.is_of_node(uri)):
            if path != within and path.is_relative_to(within):
                await asyncio.to_thread(removing.remove, path, within, stays)

    async def files(self, given: Values) -> tuple[str, ...]:
        """Return the names of outputs in folders of this machine that are files or folders."""
        return await asyncio.to_thread(direct.with_files, given)

    async def told(self, pod: Object, container: str = DELIVER) -> Mapping[str, Any]:
        """Return what an agent in an ended pod has told with its last words.

        Raises:
            OutputError: it has told nothing, or too much.
            ApiError: it cannot be asked for.
        """
        name, namespace = metadata.name(pod), metadata.namespace(pod)
        read = bytearray()
        async for chunk in self._client.log(name, namespace, container=container):
            read += chunk
            if len(read) > _MOST_TOLD:
                raise OutputError(
                    f"container {container} tells more than {_MOST_TOLD} bytes of what the step "
                    "gave: pass large values as artifacts"
                )
        for line in reversed(bytes(read).decode(errors="replace").splitlines()):
            if line.startswith(agent.MARK):
                try:
                    found: Mapping[str, Any] = json.loads(line.removeprefix(agent.MARK))
                except ValueError:
                    break  # its end is missing
                return found
        raise OutputError(f"container {container} has not told what the step gave")

    def own(self, namespace: str) -> Path:
        """Return the folder of this machine that is a namespace's."""
        assert self._folder is not None
        return self._folder / naming.folder(namespace)

"""Containers as processes of this machine, their images as Environments."""

import itertools
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import PurePath, PurePosixPath

from wherry.kubelet import expansion, processors, wrapping
from wherry.kubelet.environments import builder, choosing, interpreters, recipe, requirements
from wherry.kubelet.launcher import choice as warm_choice
from wherry.kubelet.launcher.client import Launcher
from wherry.kubelet.launcher.sessions import Session
from wherry.kubelet.launcher.types import (
    Execution,
    LauncherError,
    LauncherGoneError,
    Mount,
    ProcessSpec,
    ProcessState,
    Shim,
    WarmLimits,
    WarmStart,
)
from wherry.kubelet.runtime import (
    ContainerStart,
    Image,
    ImageError,
    ImageRequest,
    NotCoveredError,
    Progress,
    StartError,
)
from wherry.kubelet.settings import KubeletSettings
from wherry.objects import quantities
from wherry.objects.requests import Object

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_OUTPUT_BYTES = 64 * 1024
_INTERPRETERS_SECONDS = 30.0
_MOST_CHOICES = 4096

# Where images keep their interpreter; the machine's own there would be the wrong one.
_IMAGE_PROGRAMS = frozenset({"/usr/local/bin", "/usr/bin", "/opt/conda/bin", "/opt/venv/bin"})
_PYTHONS = frozenset({"python", "python3", "pip", "pip3"})


class ProcessRuntime:
    """Runs containers through the launcher."""

    def __init__(
        self,
        launcher: Launcher,
        builds: builder.Builder,
        environments: Callable[[], list[Object]],
        settings: KubeletSettings,
    ) -> None:
        """Take what it works with.

        Args:
            launcher: Keeps the processes.
            builds: Makes environments.
            environments: Returns the present `Environment` objects, whose resourceVersions tell
                whether anything has changed.
            settings: The agent's.
        """
        self._launcher = launcher
        self._builds = builds
        self._environments = environments
        self._settings = settings
        self._choices: dict[tuple[str, str], choosing.Choice] = {}
        self._choices_for: frozenset[tuple[str, int]] = frozenset()
        self._interpreters: list[interpreters.Interpreter] = []
        self._looked_at = float("-inf")

    async def open(self) -> None:
        """Bound what the launcher keeps warm; it clears up behind processes by itself.

        Raises:
            LauncherError: the launcher could not be asked.
        """
        warm = self._settings.warm
        memory = warm.memory_bytes if warm.enabled else 0
        await self._launcher.limit_warm(
            WarmLimits(memory_bytes=memory, idle_seconds=warm.idle_seconds)
        )

    async def close(self) -> None:
        """Do nothing: builds and launcher belong to the agent."""

    def preparing(self, request: ImageRequest) -> tuple[str, str]:
        """Return reason and message of the event that says that a build has begun."""
        return "BuildingEnvironment", f'Building the environment for image "{request.name}"'

    def stands_in(self, request: ImageRequest) -> bool:
        """Return whether the real image is better wherever it can be run.

        Raises:
            ImageError: there is no such image.
        """
        return self._choose(request).is_stand_in

    def ready(self, request: ImageRequest) -> Image | None:
        """Return the image if its environment is built."""
        choice: choosing.Choice | None = self._choose(request)
        while choice is not None:
            built = self._builds.built(choice.recipe)
            if built is not None:
                return self._image(request.name, choice, built)
            choice = choice.fallback
        return None

    async def pull(self, request: ImageRequest, progress: Progress) -> Image:
        """Build the image's environment.

        Raises:
            ImageError: it cannot be built.
        """
        choice = self._choose(request)
        try:
            try:
                built = await self._builds.build(choice.recipe, progress)
            except builder.BuildError as error:
                if choice.fallback is None or not error.unsatisfiable:
                    raise
                choice = choice.fallback
                progress(choice.warning)
                built = await self._builds.build(choice.recipe, progress)
        except builder.BuildError as error:
            raise ImageError(_failure(request, choice, error)) from error
        return self._image(request.name, choice, built)

    async def start(self, container: ContainerStart) -> ProcessState:
        """Start the container's process.

        Raises:
            StartError: the launcher cannot do what the spec says.
            LauncherGoneError: the launcher went away; starting again is safe.
        """
        try:
            return await self._launcher.start(process_spec(container, self._settings))
        except LauncherGoneError:
            raise
        except LauncherError as error:
            raise StartError(str(error)) from error

    async def signal(self, process_id: str, number: int) -> None:
        """Send a signal."""
        await self._launcher.signal(process_id, number)

    async def list(self) -> list[ProcessState]:
        """Return what the launcher knows."""
        return await self._launcher.list()

    async def forget(self, process_id: str) -> None:
        """Drop a process that has ended."""
        await self._launcher.forget(process_id)

    async def execute(
        self,
        process_id: str,
        argv: tuple[str, ...],
        *,
        timeout_seconds: float,
    ) -> Execution:
        """Run a command inside a container."""
        return await self._launcher.execute(
            process_id, argv, timeout_seconds=timeout_seconds, max_output_bytes=_MAX_OUTPUT_BYTES
        )

    async def interact(
        self, process_id: str, argv: tuple[str, ...], *, stdin: bool, terminal: bool
    ) -> Session:
        """Run a command inside a container for somebody who watches."""
        return await self._launcher.interact(process_id, argv, stdin=stdin, terminal=terminal)

    async def attach(self, process_id: str, *, stdin: bool, once: bool) -> Session:
        """Watch a container."""
        return await self._launcher.attach(process_id, stdin=stdin, once=once)

    def exits(self) -> AsyncIterator[ProcessState]:
        """Yield processes as they end."""
        return self._launcher.exits()

    def _choose(self, request: ImageRequest) -> choosing.Choice:
        key = (request.name, request.requirements)
        environments = self._environments()
        state = frozenset(
            (str(found["metadata"]["name"]), int(found["metadata"].get("generation") or 0))
            for found in environments
        )
        if state != self._choices_for or len(self._choices) > _MOST_CHOICES:
            self._choices.clear()
            self._choices_for = state
        choice = self._choices.get(key)
        if choice is None:
            choice = self._choices[key] = self._chosen(request, environments)
        return choice

    def _chosen(self, request: ImageRequest, environments: Iterable[Object]) -> choosing.Choice:
        try:
            choice = choosing.choose(request.name, environments, among=self._installed())
            lines = requirements.of_annotation(request.requirements)
            return choice.layered(lines, requirements.indexes(request.requirements))
        except choosing.UnknownImageError as error:
            raise NotCoveredError(str(error)) from error
        except (
            interpreters.InterpreterMissingError,
            recipe.RecipeError,
            requirements.RequirementError,
            ValueError,
        ) as error:
            raise ImageError(str(error)) from error

    def _installed(self) -> tuple[interpreters.Interpreter, ...]:
        now = time.monotonic()
        if now - self._looked_at > _INTERPRETERS_SECONDS:
            self._interpreters = interpreters.installed()
            self._looked_at = now
        return tuple(self._interpreters)

    def _image(self, name: str, choice: choosing.Choice, built: builder.Built) -> Image:
        built.use()
        own = {
            "PATH": f"{built.bin}:{_PATH}",
            "VIRTUAL_ENV": str(built.venv),
            "LANG": "C.UTF-8",
            # People follow logs; Python would hold its output back in a pipe.
            "PYTHONUNBUFFERED": "1",
        }
        for key, value in choice.spec.env.items():
            own[key] = expansion.expand(value, own)
        return Image(
            id=f"wherry.dev/{'catalogue' if choice.entry else 'environments'}/{choice.name}@{built.hash}",
            name=name,
            warning=choice.warning,
            warning_reason="ImageSubstituted"
            if choice.warns_of_image
            else "InterpreterSubstituted",
            environment=own,
            entrypoint=choice.spec.entrypoint,
            working_directory=choice.spec.working_dir,
            mounts=tuple(
                Mount(source=str(built.file(path)), target=path, read_only=True)
                for path in choice.spec.files
            ),
            programs=built.bin,
            preload=choice.spec.preload if warm_choice.supports(built.python) else None,
        )


def _failure(request: ImageRequest, choice: choosing.Choice, error: builder.BuildError) -> str:
    kind = "catalogue entry" if choice.entry else "environment"
    if choice.recipe.base is None or error.of_base:
        return f'{kind} "{choice.name}" for "{request.name}": {error}'
    asked = ", ".join(requirements.shown(line) for line in choice.recipe.requirements)
    return (
        f'{requirements.ANNOTATION}: cannot add {asked} to {kind} "{choice.name}" for '
        f'"{request.name}": {error}'
    )


def process_spec(container: ContainerStart, settings: KubeletSettings) -> ProcessSpec:
    """Return what the launcher is to do. Pure but for reading the agent's own variables."""
    spec, image = container.spec, container.image
    inherited = {
        name: os.environ[name] for name in settings.inherit_variables if name in os.environ
    }
    own = {"HOME": str(container.home), "HOSTNAME": container.hostname}
    base = {**inherited, **processors.variables(container), **own}
    environment = {**base, **image.environment, **container.environment}
    limits = (spec.get("resources") or {}).get("limits") or {}
    memory = quantities.bytes_(limits["memory"]) if "memory" in limits else None
    security = spec.get("securityContext") or {}
    argv = (*wrapping.words(container.pod, spec), *arguments(spec, image, environment))
    shim = (
        _shim(container, argv, environment) if settings.isolate and settings.warm.enabled else None
    )
    if shim is not None:
        environment["PATH"] = f"{shim.folder}:{environment['PATH']}"
    return ProcessSpec(
        id=container.id,
        argv=argv,
        env=environment,
        cwd=str(spec.get("workingDir") or image.working_directory or container.home),
        log_path=str(container.log),
        mounts=_kept(_merged(image.mounts, container.mounts), container, settings),
        hostname=container.hostname,
        address=container.address,
        uid=container.identity.uid,
        gid=container.identity.gid,
        groups=container.identity.groups,
        isolate=settings.isolate,
        no_new_privs=security.get("allowPrivilegeEscalation") is False,
        log_max_bytes=settings.logs.max_bytes,
        log_max_files=settings.logs.max_files,
        stdin=bool(spec.get("stdin")),
        tty=bool(spec.get("tty")),
        rlimits={"data": memory} if settings.memory_rlimit and memory is not None else {},
        cgroup_parent=_control_group(container, settings),
        memory_limit_bytes=memory,
        cpu_limit_millis=quantities.cpu_millis(limits["cpu"]) if "cpu" in limits else None,
        pids_limit=settings.pod_pids_limit,
        warm=_warm(container, argv, environment) if settings.warm.enabled else None,
        shim=shim,
    )


def _control_group(container: ContainerStart, settings: KubeletSettings) -> str:
    """Return the group that a pod's containers share; limits of single containers need none."""
    uid = (container.pod.get("metadata") or {}).get("uid")
    return f"wherry-{uid}" if uid and settings.pod_pids_limit is not None else ""


def _annotations(container: ContainerStart) -> Mapping[str, str]:
    return (container.pod.get("metadata") or {}).get("annotations") or {}


def _may_be_warm(container: ContainerStart) -> bool:
    return _annotations(container).get(warm_choice.ANNOTATION) != "false"


def _warm(
    container: ContainerStart, argv: tuple[str, ...], environment: dict[str, str]
) -> WarmStart | None:
    image = container.image
    if image.preload is None or not _may_be_warm(container):
        return None
    return warm_choice.choose(
        argv,
        environment=environment,
        image=image.environment,
        programs=image.programs,
        preload=image.preload or warm_choice.asked(_annotations(container)),
    )


def _shim(
    container: ContainerStart, argv: tuple[str, ...], environment: dict[str, str]
) -> Shim | None:
    """Return what lets a shell's programs start warm, where that is worth the few milliseconds it takes."""
    image = container.image
    first = environment.get("PATH", "").partition(":")[0]
    is_python = PurePosixPath(argv[0]).name.startswith("python")
    if (
        not image.preload
        or is_python
        or not _may_be_warm(container)
        or first != str(image.programs)
    ):
        return None
    return Shim(
        folder=str(container.home.parent / "bin"),
        programs=first,
        preload=image.preload,
        image=image.environment,
    )


def arguments(spec: Object, image: Image, environment: dict[str, str]) -> tuple[str, ...]:
    """Return the command line: the container's, else the image's, else the interpreter."""
    command = [expansion.expand(str(part), environment) for part in spec.get("command") or []]
    rest = [expansion.expand(str(part), environment) for part in spec.get("args") or []]
    line = [*(command or image.entrypoint), *rest]
    if not line:
        return (str(image.programs / "python"),)
    program = PurePosixPath(line[0])
    if program.name in _PYTHONS and str(program.parent) in _IMAGE_PROGRAMS:
        line[0] = str(image.programs / program.name)
    return tuple(line)


def _kept(
    mounts: tuple[Mount, ...], container: ContainerStart, settings: KubeletSettings
) -> tuple[Mount, ...]:
    """Return mounts with those by which what the process needs is seen where others lie over it.

    A volume at ``/tmp`` is usual, and Wherry's own folder may be below that.
    """
    if not settings.isolate:
        return mounts
    targets = [PurePath(each.target) for each in mounts]
    needed = [folder for folder in (settings.environments, container.home) if folder.is_dir()]
    covered = [each for each in needed if any(target in each.parents for target in targets)]
    return (*mounts, *(Mount(source=str(each), target=str(each)) for each in covered))


def _merged(of_image: tuple[Mount, ...], of_pod: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """Return all mounts, the pod's over the image's, outer paths before those within them."""
    by_target = {mount.target: mount for mount in itertools.chain(of_image, of_pod)}
    return tuple(by_target[target] for target in sorted(by_target))

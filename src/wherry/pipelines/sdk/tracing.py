"""Following a pipeline's function: each call of a component becomes a task, each `with` a group of tasks."""

import contextlib
import contextvars
import re
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Protocol

from wherry.pipelines.ir.messages import ParameterType
from wherry.pipelines.sdk import channels
from wherry.pipelines.sdk.channels import Channel, Condition, LoopItem, Port
from wherry.pipelines.sdk.errors import CompileError
from wherry.pipelines.sdk.interfaces import OUTPUT, Interface
from wherry.pipelines.sdk.kubernetes import KubernetesSettings

_NOW: Final[contextvars.ContextVar["Trace | None"]] = contextvars.ContextVar("trace", default=None)


class Runnable(Protocol):
    """What a task runs: a component, or a pipeline in a pipeline."""

    name: str
    interface: Interface


class Group:
    """Tasks that belong together.

    Attributes:
        parent: The group around it; None: it is the pipeline.
        members: Tasks and groups in it.
        name: Given when the pipeline is compiled.
        condition: When it runs; None: always.
    """

    prefix = "root"

    def __init__(self, parent: "Group | None" = None) -> None:
        self.parent = parent
        self.members: list[Group | Task] = []
        self.name = "root"
        self.condition: Condition | None = None
        if parent is not None:
            parent.members.append(self)

    def channel_name(self, key: str) -> str:
        """Return what an input of the group is called where it is passed on."""
        return key

    def above(self) -> Iterator["Group"]:
        """Yield the group and all around it, the innermost first."""
        group: Group | None = self
        while group is not None:
            yield group
            group = group.parent

    def __enter__(self) -> Any:
        trace().groups.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        trace().groups.pop()


class If(Group):
    """Tasks that run if a condition holds: ``with If(coin.output == "heads"):``."""

    prefix = "condition"

    def __init__(self, condition: Any) -> None:
        super().__init__(trace().group)
        self.own = self.condition = channels.as_condition(condition)


class _Otherwise(Group):
    prefix = "condition"

    def __init__(self, condition: Any, word: str) -> None:
        around = trace().group
        # Tasks between are those of the condition itself.
        groups = [each for each in around.members if isinstance(each, Group)]
        before = groups[-1] if groups else None
        if isinstance(before, If):
            before = Branches(before)
        if not isinstance(before, Branches) or before.closed:
            raise CompileError(f"{word} must come right after If or Elif")
        super().__init__(before)
        none_before = [~each for each in before.conditions]
        own = [] if condition is None else [channels.as_condition(condition)]
        before.conditions += own
        before.closed = condition is None
        whole = (none_before + own)[0]
        for each in (none_before + own)[1:]:
            whole &= each
        self.condition = whole


class Elif(_Otherwise):
    """Tasks that run if those of the If and Elif before do not, and a condition holds."""

    def __init__(self, condition: Any) -> None:
        super().__init__(condition, "Elif")


class Else(_Otherwise):
    """Tasks that run if those of the If and Elif before do not."""

    def __init__(self) -> None:
        super().__init__(None, "Else")


class Branches(Group):
    """An If with its Elif and Else."""

    prefix = "condition-branches"

    def __init__(self, first: If) -> None:
        around = first.parent
        assert around is not None
        around.members.remove(first)
        super().__init__(around)
        self.members.append(first)
        first.parent = self
        self.conditions = [first.own]
        self.closed = False
        self.chosen = 0


class ParallelFor(Group):
    """Tasks that run for each of some items: ``with ParallelFor([1, 2]) as item:``."""

    prefix = "for-loop"

    def __init__(self, items: Any, parallelism: int = 0) -> None:
        super().__init__(trace().group)
        if parallelism < 0:
            raise CompileError(f"parallelism must be 0 (no limit) or more, not {parallelism}")
        self.items = items
        self.parallelism = parallelism
        self.number = 0
        self.samples: Sequence[Any] = () if isinstance(items, Channel) else list(items)
        self.item = LoopItem(self, "item", self._port())

    def _port(self) -> Port:
        if not isinstance(self.items, Channel):
            if not self.samples:
                raise CompileError("ParallelFor: there is nothing in the list")
            return Port(channels.kind_of(self.samples))
        if self.items.port.kind is None:
            return Port(artifact=self.items.port.artifact)
        return Port(ParameterType.STRING)

    def channel_name(self, key: str) -> str:
        """Return what its item is called where it is passed on."""
        if isinstance(self.items, Channel):
            return f"{self.items.name}-loop-item"
        return f"loop-item-param-{self.number}"

    def __enter__(self) -> LoopItem:
        super().__enter__()
        return self.item


class ExitHandler(Group):
    """Tasks after which, however they end, another one runs: ``with ExitHandler(clean_up()):``."""

    prefix = "exit-handler"

    def __init__(self, exit_task: "Task") -> None:
        super().__init__(trace().group)
        if exit_task.group is not self.parent:
            raise CompileError("ExitHandler: the exit task must be made right before, beside it")
        exit_task.exits = self


class Task(KubernetesSettings):
    """A call of a component in a pipeline. Settings return the task, so that they can be chained."""

    def __init__(self, runs: Runnable, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        now = trace()
        self.runs = runs
        self.arguments = dict(arguments)
        self.group = now.group
        self.name = now.named(runs.name)
        self.exits: ExitHandler | None = None
        self.settings: dict[str, Any] = {}
        self.resources: dict[str, Any] = {}
        self.env: dict[str, str] = {}
        self.before: list[Task | Group] = []
        self.group.members.append(self)

    def channel_name(self, key: str) -> str:
        """Return what an output is called where it is passed on."""
        return f"{self.name}-{key}"

    @property
    def output(self) -> Channel:
        """Its only output.

        Raises:
            CompileError: It has none, or several.
        """
        outputs = list(self.runs.interface.outputs)
        if len(outputs) != 1 and OUTPUT not in outputs:
            raise CompileError(
                f"{self.name} has {len(outputs)} outputs ({', '.join(outputs)}): use outputs[…]"
            )
        return self.outputs[OUTPUT if OUTPUT in outputs else outputs[0]]

    @property
    def outputs(self) -> Mapping[str, Channel]:
        """Its outputs by name."""
        return {key: Channel(self, key, port) for key, port in self.runs.interface.outputs.items()}

    def after(self, *tasks: "Task | Group") -> "Task":
        """Wait for other tasks, though nothing of theirs is needed."""
        self.before += tasks
        return self

    def ignore_upstream_failure(self) -> "Task":
        """Run whatever has become of the tasks before."""
        self.settings["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
        return self

    def set_caching_options(self, enable_caching: bool, cache_key: str = "") -> "Task":  # noqa: FBT001 - KFP's signature
        """Say whether an earlier result will do; a key of one's own stands for the inputs."""
        key = {"cacheKey": cache_key} if cache_key else {}
        self.settings["cachingOptions"] = {"enableCache": True, **key} if enable_caching else {}
        return self

    def set_retry(
        self,
        num_retries: int,
        backoff_duration: str = "0s",
        backoff_factor: float = 2.0,
        backoff_max_duration: str = "3600s",
    ) -> "Task":
        """Try again when it fails; durations as in ``30s``, ``5m``, ``1h``."""
        self.settings["retryPolicy"] = {
            "maxRetryCount": num_retries,
            "backoffDuration": _seconds(backoff_duration),
            "backoffFactor": backoff_factor,
            "backoffMaxDuration": _seconds(backoff_max_duration),
        }
        return self

    def set_cpu_request(self, cpu: str) -> "Task":
        """Ask for cores, such as ``0.5`` or ``500m``."""
        return self._resource("resourceCpuRequest", cpu)

    def set_cpu_limit(self, cpu: str) -> "Task":
        """Allow at most so many cores."""
        return self._resource("resourceCpuLimit", cpu)

    def set_memory_request(self, memory: str) -> "Task":
        """Ask for memory, such as ``512Mi``."""
        return self._resource("resourceMemoryRequest", memory)

    def set_memory_limit(self, memory: str) -> "Task":
        """Allow at most so much memory."""
        return self._resource("resourceMemoryLimit", memory)

    def set_accelerator(self, resource: str, count: int = 1) -> "Task":
        """Ask for devices, such as ``nvidia.com/gpu``."""
        self.resources["accelerator"] = {"resourceType": resource, "resourceCount": str(count)}
        return self

    def set_env_variable(self, name: str, value: str) -> "Task":
        """Set a variable of the environment."""
        self.env[name] = value
        return self

    def set_display_name(self, name: str) -> "Task":
        """Say what people call it."""
        self.settings["taskInfo"] = {"name": name}
        return self

    def _resource(self, field: str, amount: str) -> "Task":
        self.resources[field] = str(amount)
        return self


class OneOf(Channel):
    """The output of whichever branch ran: ``OneOf(a.output, b.output)`` after If and Else."""

    def __init__(self, *given: Channel) -> None:
        if not given:
            raise CompileError("OneOf: want an output of each branch")
        kinds = {(each.port.kind, each.port.artifact) for each in given}
        if len(kinds) > 1:
            raise CompileError("OneOf: the outputs must be of one type")
        self.given = given
        owners = {_branches_of(each) for each in given}
        if len(owners) != 1:
            raise CompileError("OneOf: want outputs of the branches of one If with Else")
        branches = owners.pop()
        if not branches.closed:
            raise CompileError("OneOf: without Else it may be that none of them runs")
        branches.chosen += 1
        self.number = branches.chosen
        super().__init__(branches, f"oneof-{branches.chosen}", given[0].port)

    @property
    def name(self) -> str:
        """What it is called where it is passed on."""
        return f"{self.owner.name}-{self.key}"


class Collected(Channel):
    """All that a task in a loop gives, as a list, for a task outside: ``Collected(train.output)``."""

    def __init__(self, each: Channel) -> None:
        port = each.port
        made = Port(ParameterType.LIST) if port.kind else Port(artifact=port.artifact, is_list=True)
        super().__init__(each.owner, each.key, made)


class Trace:
    """A pipeline whose function is followed.

    Attributes:
        root: Everything.
        groups: Where we are, the innermost last.
    """

    def __init__(self) -> None:
        self.root = Group()
        self.groups = [self.root]
        self._names: dict[str, int] = {}

    @property
    def group(self) -> Group:
        """Where we are."""
        return self.groups[-1]

    def named(self, name: str) -> str:
        """Return a task's name: the component's, with a number from the second on."""
        self._names[name] = number = self._names.get(name, 0) + 1
        return name if number == 1 else f"{name}-{number}"

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Take calls of components for tasks of this pipeline while the block runs."""
        token, texts = _NOW.set(self), channels.IN_TEXTS.set([])
        try:
            yield
        finally:
            _NOW.reset(token)
            channels.IN_TEXTS.reset(texts)


def current() -> Trace | None:
    """Return the pipeline that is being followed; None: there is none."""
    return _NOW.get()


def trace() -> Trace:
    """Return the pipeline that is being followed.

    Raises:
        CompileError: There is none.
    """
    found = current()
    if found is None:
        raise CompileError("this can only be used in a function with @pipeline")
    return found


def _branches_of(channel: Channel) -> Branches:
    group = channel.owner.group if isinstance(channel.owner, Task) else channel.owner
    for each in group.above():
        if isinstance(each, Branches):
            return each
    raise CompileError(f"OneOf: {channel.name} is not in a branch of an If with Else")


_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


def _seconds(words: str) -> str:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", words)
    if match is None:
        raise CompileError(f"{words!r} is no duration: want such as 30s, 5m, 1h")
    return f"{float(match[1]) * _UNITS[match[2]]:g}s"

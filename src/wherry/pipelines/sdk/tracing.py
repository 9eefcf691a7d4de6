"""Following a pipeline's function: each call of a component becomes a task, each `with` a group of tasks."""

import contextlib
import contextvars
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Protocol

from wherry.pipelines.ir.messages import ParameterType
from wherry.pipelines.sdk import channels
from wherry.pipelines.sdk.channels import Channel, LoopItem, Port
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
        title: What people call it; empty: its name.
        condition: When it runs; None: always.
    """

    prefix = "root"

    def __init__(self, parent: "Group | None" = None, title: str = "") -> None:
        self.parent = parent
        self.members: list[Group | Task] = []
        self.name = "root"
        self.title = title
        self.condition: channels.Condition | None = None
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

    def __init__(self, condition: Any, name: str = "") -> None:
        super().__init__(trace().group, name)
        self.own = self.condition = channels.as_condition(condition)


Condition = If
"""The name that If had before there was Else."""


class _Otherwise(Group):
    prefix = "condition"

    def __init__(self, condition: Any, word: str, name: str) -> None:
        around = trace().group
        # Tasks between are those of the condition itself.
        groups = [each for each in around.members if isinstance(each, Group)]
        before = groups[-1] if groups else None
        if isinstance(before, If):
            before = Branches(before)
        if not isinstance(before, Branches) or before.closed:
            raise CompileError(f"{word} must come right after If or Elif")
        super().__init__(before, name)
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

    def __init__(self, condition: Any, name: str = "") -> None:
        super().__init__(condition, "Elif", name)


class Else(_Otherwise):
    """Tasks that run if those of the If and Elif before do not."""

    def __init__(self, name: str = "") -> None:
        super().__init__(None, "Else", name)


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

    def __init__(self, items: Any, name: str = "", parallelism: int | None = None) -> None:
        super().__init__(trace().group, name)
        parallelism = parallelism or 0
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
            return dataclasses.replace(self.items.port, is_list=False, optional=False)
        return Port(self.items.port.element or ParameterType.STRING)

    def channel_name(self, key: str) -> str:
        """Return what its item is called where it is passed on."""
        if not isinstance(self.items, Channel):
            return f"loop-item-param-{self.number}"
        name = f"{self.items.name}-loop-item"
        # A loop in a loop over the same list has another item; a number from the second on, as tasks.
        around = [*self.above()][1:]
        outer = sum(isinstance(each, ParallelFor) and each.over == self.over for each in around)
        return f"{name}-{outer + 1}" if outer else name

    @property
    def over(self) -> str:
        """The name of what it goes over; empty: a list that is written down."""
        return self.items.name if isinstance(self.items, Channel) else ""

    def __enter__(self) -> LoopItem:
        super().__enter__()
        return self.item


class ExitHandler(Group):
    """Tasks after which, however they end, another one runs: ``with ExitHandler(clean_up()):``."""

    prefix = "exit-handler"

    def __init__(self, exit_task: "Task", name: str = "") -> None:
        super().__init__(trace().group, name)
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
        self.image = ""
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
        return self._resource(
            "resourceCpuRequest", _checked(_CPU, "cores such as 0.5 or 500m", cpu)
        )

    def set_cpu_limit(self, cpu: str) -> "Task":
        """Allow at most so many cores."""
        return self._resource("resourceCpuLimit", _checked(_CPU, "cores such as 0.5 or 500m", cpu))

    def set_memory_request(self, memory: str) -> "Task":
        """Ask for memory, such as ``512Mi``."""
        return self._resource(
            "resourceMemoryRequest", _checked(_MEMORY, "an amount such as 512Mi", memory)
        )

    def set_memory_limit(self, memory: str) -> "Task":
        """Allow at most so much memory."""
        return self._resource(
            "resourceMemoryLimit", _checked(_MEMORY, "an amount such as 512Mi", memory)
        )

    def set_accelerator_type(self, accelerator: str) -> "Task":
        """Ask for devices, such as ``nvidia.com/gpu``: one, or as many as `set_accelerator_limit` says."""
        device = self.resources.setdefault("accelerator", {"resourceCount": "1"})
        device["resourceType"] = accelerator
        return self

    def set_accelerator_limit(self, limit: int | str) -> "Task":
        """Say how many devices it has; of what type says `set_accelerator_type`."""
        device = self.resources.setdefault("accelerator", {})
        device["resourceCount"] = _checked(_COUNT, "a number of devices such as 1", limit)
        return self

    def set_container_image(self, name: str) -> "Task":
        """Run it in another image than its component says."""
        self.image = str(name)
        return self

    def set_debug_pause(
        self, *, before: bool = False, after: bool = True, on_error: bool = False
    ) -> "Task":
        """Keep its pod where Argo Workflows runs it, to look around in it: before the code runs, or after it.

        Args:
            before: Before the code runs.
            after: When it has ended.
            on_error: Then only if it has failed.

        Raises:
            CompileError: Neither before nor after.
        """
        if not (before or after) or (on_error and not after):
            raise CompileError("set_debug_pause: want before or after; on_error is an after")
        if before:
            self.set_env_variable("ARGO_DEBUG_PAUSE_BEFORE", "true")
        if after:
            self.set_env_variable(f"ARGO_DEBUG_PAUSE_{'ON_ERROR' if on_error else 'AFTER'}", "true")
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
        self.resources[field] = amount
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
        made = dataclasses.replace(each.port, is_list=True)
        if each.port.kind is not None:
            made = Port(ParameterType.LIST, element=each.port.kind)
        super().__init__(each.owner, each.key, made)


class Trace:
    """A pipeline whose function is followed.

    Attributes:
        root: Everything.
        groups: Where we are, the innermost last.
        names: Of its tasks, each with the last number that was put behind it.
    """

    def __init__(self) -> None:
        self.root = Group()
        self.groups = [self.root]
        self.names: dict[str, int] = {}

    @property
    def group(self) -> Group:
        """Where we are."""
        return self.groups[-1]

    def named(self, name: str) -> str:
        """Return a task's name, which no other has: the component's, with a number from the second on."""
        found, number = name, self.names.get(name, 1)
        while found in self.names:
            number += 1
            found = f"{name}-{number}"
        self.names[name] = number
        self.names.setdefault(found, 1)
        return found

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


_CPU: Final = re.compile(r"(?:[0-9]+|[0-9]*\.[0-9]+)m?")
_MEMORY: Final = re.compile(r"[0-9]+([EPTGMK]i?)?")
_COUNT: Final = re.compile(r"[0-9]+")


def _checked(form: re.Pattern[str], words: str, given: Any) -> str:
    """Return an amount as text; what an output of a task will be is known later.

    Raises:
        CompileError: It is none.
    """
    text = str(given)
    if not isinstance(given, Channel) and not channels.in_text(text) and not form.fullmatch(text):
        raise CompileError(f"{text!r} is not {words}")
    return text


_UNITS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_DURATION: Final = re.compile(
    rf"(\d+(?:\.\d+)?)\s*({'|'.join(f'{unit[0]}|{unit}s?' for unit in _UNITS)})"
)


def _seconds(words: str) -> str:
    match = _DURATION.fullmatch(words)
    if match is None:
        raise CompileError(f"{words!r} is no duration: want such as 30s, 5m, 1h")
    seconds = next(each for unit, each in _UNITS.items() if unit[0] == match[2][0])
    return f"{float(match[1]) * seconds:g}s"

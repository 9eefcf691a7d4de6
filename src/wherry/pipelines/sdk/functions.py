"""Components of Python functions: what `component` makes of them."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack, overload

from wherry.objects.requests import Object
from wherry.pipelines import commands
from wherry.pipelines.sdk import components, embedding, interfaces, setting_names, source
from wherry.pipelines.sdk.components import Component
from wherry.pipelines.sdk.config import TaskConfigField, TaskConfigPassthrough
from wherry.pipelines.sdk.interfaces import Interface

_ARGUMENTS: Final = ("--executor_input", "{{$}}", "--function_to_execute")


class StepSettings(TypedDict, total=False):
    """What a step of Python may be told, all optional; the names are KFP's."""

    base_image: str
    """What it runs in; by default the Python that compiles."""
    packages_to_install: Sequence[str]
    """What it needs, as pip takes it."""
    pip_index_urls: Sequence[str]
    """Package indexes; the first instead of the default one."""
    pip_trusted_hosts: Sequence[str]
    """Hosts of indexes whose certificates are not looked at; Wherry itself trusts none unseen."""
    install_kfp_package: bool
    """Whether pip installs KFP's SDK where Wherry's runtime is not; by default it does."""
    kfp_package_path: str
    """Which SDK that is, as pip takes it; by default the one whose files these are."""
    use_venv: bool
    """Whether packages go into a folder of their own, where the image's cannot be written to."""
    task_config_passthroughs: Sequence[TaskConfigPassthrough | TaskConfigField]
    """Settings of its pod that its code is handed in an input of type TaskConfig."""


class Settings(StepSettings, total=False):
    """What `component` may be told besides."""

    target_image: str
    """An image that has the function already, with KFP's SDK."""
    additional_funcs: Sequence[Callable[..., Any]]
    """Functions that it calls, defined beside it."""
    embedded_artifact_path: Path | str
    """A file or folder to bring along, for an input of type ``EmbeddedInput[…]``; what is in it can be imported."""


@overload
def component(function: Callable[..., Any], /, **settings: Unpack[Settings]) -> Component: ...
@overload
def component(**settings: Unpack[Settings]) -> Callable[[Callable[..., Any]], Component]: ...
def component(
    function: Callable[..., Any] | None = None, /, **settings: Unpack[Settings]
) -> Component | Callable[[Callable[..., Any]], Component]:
    """Make a component of a function. Decorator.

    What it takes and gives is said by its annotations: ``str``, ``int``, ``float``, ``bool``, ``list``, ``dict`` and
    ``Literal`` travel as values, ``Input[Dataset]`` and ``Output[Model]`` as files (``.path``, ``.metadata``).
    In a step there is the function alone: what it imports is imported within it.

    Args:
        function: The function.
        **settings: See `Settings`.

    Raises:
        CompileError: It is none, or a setting is not known.
    """
    setting_names.check("component", settings, Settings)
    if function is None:
        return lambda each: _made(each, settings)
    return _made(function, settings)


def _made(function: Callable[..., Any], settings: Settings) -> Component:
    target, path = settings.get("target_image", ""), settings.get("embedded_artifact_path")
    embedded = None if path is None else embedding.embed(Path(path))
    # Before the source is looked at: what is wrong with the function is to be said first.
    interface = interfaces.of_function(function)
    text = ""
    if not target:
        before = "" if embedded is None else embedded.source()
        text = source.module(function, settings.get("additional_funcs", ()), before)
    made = make(function, interface, text, settings)
    if target:
        made.executor["container"]["image"] = target
    if embedded is not None:
        made.around = embedded.unpacked
    return made


def make(
    function: Callable[..., Any], interface: Interface, text: str, settings: StepSettings
) -> Component:
    """Return the component of a function.

    Args:
        function: The function.
        interface: What it takes and gives.
        text: The module that has it; empty: its image does.
        settings: As the decorators take them.
    """
    made = Component(
        components.named(function.__name__),
        interface,
        {"container": _container(function, text, settings)},
        function,
    )
    made.passthroughs = _passthroughs(settings.get("task_config_passthroughs", ()))
    return made


def _container(function: Callable[..., Any], text: str, settings: StepSettings) -> Object:
    image = f"python:{sys.version_info.major}.{sys.version_info.minor}"
    kfp = settings.get("kfp_package_path") or commands.KFP
    command = commands.written(
        settings.get("packages_to_install", ()),
        _options(settings),
        text,
        kfp=kfp if text and settings.get("install_kfp_package", True) else "",
        venv=settings.get("use_venv", False),
    )
    return {
        "image": settings.get("base_image") or image,
        "command": command,
        "args": [*_ARGUMENTS, function.__name__],
    }


def _options(settings: StepSettings) -> list[str]:
    indexes = settings.get("pip_index_urls", ())
    words = [
        word
        for place, index in enumerate(indexes)
        for word in ("--extra-index-url" if place else "--index-url", index)
    ]
    return words + [
        word for host in settings.get("pip_trusted_hosts", ()) for word in ("--trusted-host", host)
    ]


def _passthroughs(given: Sequence[TaskConfigPassthrough | TaskConfigField]) -> list[Object]:
    made = []
    for each in given:
        passed = TaskConfigPassthrough(each) if isinstance(each, TaskConfigField) else each
        applied = {"applyToTask": True} if passed.apply_to_task else {}
        made.append({"field": passed.field.value, **applied})
    return made

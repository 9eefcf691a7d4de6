"""Which environment stands for an image. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wherry.kubelet import images
from wherry.kubelet.environments import interpreters, kinds, recipe
from wherry.objects import metadata
from wherry.objects.requests import Object


class UnknownImageError(Exception):
    """No environment covers the image; the message says how to add one."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What an image turns out to be.

    Attributes:
        name: The environment's name.
        spec: The environment's spec.
        recipe: What has to be built.
        warning: What is not as the image's tag says, empty if all is.
    """

    name: str
    spec: kinds.EnvironmentSpec
    recipe: recipe.Recipe
    warning: str = ""


_Interpreters = Sequence[interpreters.Interpreter] | None


def choose(text: str, environments: Iterable[Object], *, among: _Interpreters = None) -> Choice:
    """Return the environment with the narrowest pattern that covers the image.

    Among equally narrow ones the first by name is taken, so that the answer is always the same.

    Args:
        text: The image's name as the pod has it.
        environments: The `Environment` objects there are.
        among: The interpreters there are; by default those of this machine.

    Raises:
        UnknownImageError: none covers it.
        ValueError: not an image name.
        InterpreterMissingError: `spec.python` names a version that this machine does not have.
        RecipeError: the environment's spec cannot be built.
    """
    image = images.parse(text)
    best: tuple[tuple[int, int], Object] | None = None
    for environment in sorted(environments, key=metadata.name):
        for pattern in _patterns(environment):
            if images.matches(pattern, image):
                rank = images.specificity(pattern)
                if best is None or rank > best[0]:
                    best = (rank, environment)
    if best is None:
        raise UnknownImageError(unknown(text))
    return for_environment(best[1], image, among=among)


def for_environment(
    environment: Object, image: images.Image | None = None, *, among: _Interpreters = None
) -> Choice:
    """Return what has to be built for an environment.

    Args:
        environment: The `Environment`.
        image: The image it is wanted for; None: whatever it says itself.
        among: As in `choose`.

    Raises:
        InterpreterMissingError: as in `choose`.
        RecipeError: as in `choose`.
    """
    spec = kinds.spec_of(environment)
    interpreter, warning = _interpreter(spec, image, among)
    return Choice(metadata.name(environment), spec, recipe.make(spec, interpreter), warning)


def _interpreter(
    spec: kinds.EnvironmentSpec, image: images.Image | None, among: _Interpreters
) -> tuple[interpreters.Interpreter, str]:
    tagged = images.python_version(image) if image is not None else None
    if image is None or tagged is None or spec.python:
        return interpreters.find(spec.python, among), ""
    try:
        return interpreters.find(tagged, among), ""
    except interpreters.InterpreterMissingError as error:
        own = interpreters.own()
        return own, f"{image.text} runs on Python {own.text}: {error}"


def _patterns(environment: Object) -> Iterator[str]:
    for pattern in kinds.spec_of(environment).images:
        try:
            images.parse(pattern)
        except ValueError:
            continue
        yield pattern


def unknown(image: str) -> str:
    """Return the message for an image that nothing covers."""
    name = "".join(
        c if c.isalnum() else "-"
        for c in image.split("@", maxsplit=1)[0].rsplit("/", 1)[-1].lower()
    )
    manifest = (
        f'{{"apiVersion":"{kinds.ENVIRONMENTS.api_version}","kind":"{kinds.ENVIRONMENTS.kind}",'
        f'"metadata":{{"name":"{name.strip("-") or "my-image"}"}},'
        f'"spec":{{"images":["{image}"],"requirements":["PACKAGE"]}}}}'
    )
    return (
        f'no Environment covers the image "{image}". Say which packages it holds, for example: '
        f"echo '{manifest}' | kubectl apply -f -"
    )

"""Which environment stands for an image. Pure."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wherry.kubelet import images
from wherry.kubelet.environments import catalogue, interpreters, kinds, recipe, requirements
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
        warning: What is not as the image's name says, empty if all is.
        entry: Of the catalogue; None for an `Environment` object.
        fallback: What to take where the versions of `recipe` do not exist.
    """

    name: str
    spec: kinds.EnvironmentSpec
    recipe: recipe.Recipe
    warning: str = ""
    entry: catalogue.Entry | None = None
    fallback: "Choice | None" = None

    @property
    def is_stand_in(self) -> bool:
        """Whether the real image is better wherever it can be run."""
        return self.entry is not None and self.entry.host_tools

    @property
    def warns_of_image(self) -> bool:
        """Whether the warning is of more than the interpreter's version."""
        return self.entry is not None and self.entry.name != "python"

    def layered(
        self, lines: tuple[str, ...], indexes: requirements.Indexes | None = None
    ) -> "Choice":
        """Return the same with packages on top, from other indexes where some are named."""
        if not lines:
            return self
        return dataclasses.replace(
            self,
            recipe=self.recipe.layered(lines, indexes),
            fallback=self.fallback.layered(lines, indexes) if self.fallback is not None else None,
        )


_Interpreters = Sequence[interpreters.Interpreter] | None


def choose(text: str, environments: Iterable[Object], *, among: _Interpreters = None) -> Choice:
    """Return the environment with the narrowest pattern that covers the image.

    Among equally narrow ones the first by name is taken, so that the answer is always the same. The
    catalogue is looked into after all objects.

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
    environment = covering(image, environments)
    if environment is not None:
        return for_environment(environment, image, among=among)
    entry = catalogue.covering(image)
    if entry is None:
        raise UnknownImageError(unknown(text))
    return for_entry(entry, image, among=among)


def covering(image: images.Image, environments: Iterable[Object]) -> Object | None:
    """Return the object with the narrowest pattern that covers the image."""
    best: tuple[tuple[int, int], Object] | None = None
    for environment in sorted(environments, key=metadata.name):
        for pattern in _patterns(environment):
            if images.matches(pattern, image):
                rank = images.specificity(pattern)
                if best is None or rank > best[0]:
                    best = (rank, environment)
    return best[1] if best else None


def for_entry(
    entry: catalogue.Entry, image: images.Image, *, among: _Interpreters = None
) -> Choice:
    """Return what has to be built for an image that the catalogue covers.

    Raises:
        InterpreterMissingError: as in `choose`.
    """
    version = catalogue.version_of(image) if entry.has_version else ""
    newest = for_environment(entry.environment(), image, among=among)
    warning = entry.warning and f"{image.text}: {entry.warning}"
    if entry.host_tools:
        warning = f"{image.text} is not run itself: its programs are those of this machine"
    newest = dataclasses.replace(newest, entry=entry, warning=newest.warning or warning)
    if not version:
        return newest
    python = newest.recipe.interpreter.text
    other = (
        f"{image.text}: version {version} cannot be had for Python {python}; the newest is taken"
    )
    pinned = for_environment(entry.environment(version), image, among=among)
    fallback = dataclasses.replace(newest, warning=other)
    return dataclasses.replace(pinned, entry=entry, warning=newest.warning, fallback=fallback)


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

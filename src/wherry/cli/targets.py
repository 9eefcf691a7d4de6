"""What people type to name objects: ``KIND NAME…``, ``KIND/NAME…``, ``KIND,KIND``."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wherry.cli.failures import UsageError
from wherry.client.resources import Resources
from wherry.objects import errors
from wherry.objects.resources import Resource

_MOST_SIMILAR = 3


@dataclass(frozen=True, slots=True)
class Target:
    """Objects of one kind.

    Attributes:
        resource: The kind.
        names: Which; empty for all of them.
    """

    resource: Resource
    names: tuple[str, ...] = ()


def called(resource: Resource, name: str) -> str:
    """Return ``deployment.apps/web``, as kubectl names an object."""
    singular = resource.singular or resource.kind.lower()
    return f"{singular}.{resource.group}/{name}" if resource.group else f"{singular}/{name}"


def short(resource: Resource, name: str) -> str:
    """Return ``deployment/web``, the shortest that every command takes back."""
    return f"{resource.singular or resource.kind.lower()}/{name}"


def demand(words: Sequence[str]) -> None:
    """Check that something was typed at all, before any cluster is asked.

    Raises:
        UsageError: nothing was.
    """
    if not words:
        raise UsageError("which objects? for example: pods, deployment/web, or job train")


async def parse(words: Sequence[str], resources: Resources) -> list[Target]:
    """Return what is meant.

    Args:
        words: As typed.
        resources: What the server has.

    Raises:
        UsageError: a word makes no sense, or no kind is called so.
    """
    demand(words)
    if not any("/" in word for word in words):
        found = await kinds(words[0], resources)
        if len(found) > 1 and len(words) > 1:
            raise UsageError(f"{words[0]}: names can be given for one kind only")
        return [Target(resource, tuple(words[1:])) for resource in found]
    targets: list[Target] = []
    for word in words:
        kind, _, name = word.partition("/")
        if not kind or not name or "/" in name:
            raise UsageError(f"{word!r}: where one is KIND/NAME, all must be; want e.g. pod/web")
        targets += [Target(each, (name,)) for each in await kinds(kind, resources)]
    return targets


async def kinds(text: str, resources: Resources) -> list[Resource]:
    """Return the resources of a list such as ``pods,svc`` or of a category such as ``all``.

    Raises:
        UsageError: no kind is called so; the message names similar ones.
    """
    found: list[Resource] = []
    for name in text.split(","):
        try:
            found.append(await resources.find(name))
        except errors.NotFoundError:
            members = await resources.category(name) if name else []
            if not members:
                raise UsageError(_unknown(name, await resources.all())) from None
            found += members
    return list(dict.fromkeys(found))


def similar(name: str, known: Iterable[str]) -> list[str]:
    """Return the names that look like ``name``, the likeliest first; three at most."""
    among = list(dict.fromkeys(known))
    close = difflib.get_close_matches(name, among, n=_MOST_SIMILAR, cutoff=0.6)
    close += [other for other in among if other not in close and len(name) > 2 and name in other]
    return close[:_MOST_SIMILAR]


def _unknown(name: str, served: Iterable[Resource]) -> str:
    words: list[str] = []
    for resource in served:
        words += [resource.plural, resource.singular, *resource.short_names]
    close = similar(name.lower(), filter(None, words))
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"the server has no kind called {name!r}{hint}"

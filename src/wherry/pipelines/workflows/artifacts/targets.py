"""Where the artifacts of a node's pod go, and how they are packed there. Pure.

On a folder of the node they stay where the step has written them. Other places get an archive, as
upstream: ``tgz`` unless the artifact says otherwise.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.metadata.artifacts import uris
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows.artifacts import locations
from wherry.pipelines.workflows.artifacts.locations import Location
from wherry.pipelines.workflows.artifacts.order import Order
from wherry.pipelines.workflows.artifacts.plan import Output, Plan

NONE: Final = "none"
TAR: Final = "tar"
ZIP: Final = "zip"
_ENDINGS: Final = {NONE: "", TAR: ".tgz", ZIP: ".zip"}
_MOST_LEVEL: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an output artifact goes.

    Attributes:
        output: The artifact, and where the step leaves it.
        uri: Where it is in the end.
        location: The same in upstream's form; empty: it has none there.
        archive: How it is packed: `NONE`, `TAR` or `ZIP`.
        level: Of compression, 0 to 9; None: the usual one.
        stays: Whether it is where the step has written it.
    """

    output: Output
    uri: str
    location: Location
    archive: str
    level: int | None
    stays: bool = False

    @property
    def name(self) -> str:
        """What the artifact is called."""
        return str(self.output.said["name"])

    @property
    def on_node(self) -> bool:
        """Whether it is in a folder of the node."""
        return uris.is_of_node(self.uri)


def make(order: Order, plan: Plan) -> tuple[Target, ...]:
    """Return where each output artifact of a node goes.

    Raises:
        StepError: a place cannot be written to.
    """
    return tuple(_target(order, each) for each in (*plan.artifacts, *plan.logs.values()))


def _target(order: Order, output: Output) -> Target:
    said, root = output.said, order.repository.root
    where = f"outputs.artifacts.{said['name']}"
    archive, level = _archive(said.get("archive") or {}, where)
    own = bool(locations.kind(said, where))
    usual = {} if own else order.template.get("archiveLocation") or {}
    given = {**usual, **locations.only(said)}
    kind = locations.kind(given, where)
    if kind and kind not in locations.WRITTEN:
        raise StepError(f"{where}.{kind}: outputs go to {', '.join(locations.WRITTEN)}")
    if kind or order.repository.store:
        file = output.file or f"{said['name']}{_ENDINGS[archive]}"
        location: Location
        if kind == locations.HTTP:
            location = locations.only(given) if own else locations.below_url(given, file)
        else:
            location = _in_store(order, given, file, where, own=own)
        uri = locations.uri(location, where)
        if uris.is_of_node(uri):
            return Target(output=output, uri=uri, location={}, archive=NONE, level=None)
        return Target(
            output=output,
            uri=uri,
            location=location if "uri" not in location else {},
            archive=archive,
            level=level,
        )
    if root.direct:
        uri = uris.below(order.task_root, output.place)
        return Target(output=output, uri=uri, location={}, archive=NONE, level=None, stays=True)
    uri = uris.below(order.task_root, output.file or f"{said['name']}{_ENDINGS[archive]}")
    return Target(output=output, uri=uri, location={}, archive=archive, level=level)


def _in_store(order: Order, given: Location, file: str, where: str, *, own: bool) -> Location:
    """Return the place in a store: the artifact's own key is all of it, others are a folder."""
    repository = order.repository
    kind = locations.kind(given, where)
    if kind and given[kind].get("key"):
        key = str(given[kind]["key"])
        key = key if own else posixpath.join(key, file)
    else:
        key = posixpath.join(order.key, file)
    base: Mapping[str, Any] = {kind: given[kind]} if kind else repository.store
    return locations.completed(locations.at_key(base, key), repository, where)


def _archive(said: Mapping[str, Any], where: str) -> tuple[str, int | None]:
    if said.get("none") is not None:
        return NONE, None
    if said.get("zip") is not None:
        return ZIP, None
    level = (said.get("tar") or {}).get("compressionLevel")
    if level is not None and not (isinstance(level, int) and -1 <= level <= _MOST_LEVEL):
        raise StepError(
            f"{where}.archive.tar.compressionLevel is {level!r}; want 0 to {_MOST_LEVEL}"
        )
    return TAR, None if level == -1 else level

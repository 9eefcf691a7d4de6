"""Compiled files: YAML or JSON, one or two documents."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import documents
from wherry.objects.errors import Cause

MOST_BYTES: Final = 8 << 20


class PipelineError(ValueError):
    """A pipeline is not right.

    Attributes:
        causes: What, and where.
    """

    def __init__(self, causes: Iterable[Cause]) -> None:
        self.causes = list(causes)
        super().__init__(
            "; ".join(
                f"{cause.field}: {cause.message}" if cause.field else cause.message
                for cause in self.causes
            )
        )


@dataclass(frozen=True, slots=True)
class Documents:
    """What a compiled file holds.

    Attributes:
        spec: The pipeline.
        platform: What platforms are to do; None: nothing.
    """

    spec: Mapping[str, Any]
    platform: Mapping[str, Any] | None = None


def parse(text: str) -> Documents:
    """Read a compiled file.

    Args:
        text: YAML or JSON: a pipeline, maybe with a second document for platforms; or one object that has
            both as ``pipelineSpec`` and ``platformSpec`` (``pipeline_spec`` and ``platform_spec``).

    Raises:
        PipelineError: It is none.
    """
    specs: list[Mapping[str, Any]] = []
    platforms: list[Mapping[str, Any]] = []
    for document in _documents(text):
        for part in _parts(document):
            (platforms if "platforms" in part else specs).append(part)
    for what, found in (("pipeline", specs), ("platform", platforms)):
        if len(found) > 1:
            raise _error(f"there is more than one {what} in the file")
    if not specs:
        raise _error(
            "there is no pipeline in the file: expected what KFP's compiler writes, an object "
            "with pipelineInfo, deploymentSpec, components and root"
        )
    return Documents(specs[0], platforms[0] if platforms else None)


def _parts(document: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    parts = [document[name] for name in _ENVELOPE if document.get(name) is not None]
    if not parts:
        return [document]
    for part in parts:
        if not isinstance(part, Mapping):
            raise _error("pipelineSpec and platformSpec must be objects")
    return parts


_ENVELOPE: Final = ("pipelineSpec", "pipeline_spec", "platformSpec", "platform_spec")


def _documents(text: str) -> Iterator[Mapping[str, Any]]:
    if len(text) > MOST_BYTES:
        raise _error(f"the file is larger than {MOST_BYTES >> 20} MiB")
    for each in documents.read(text):
        if isinstance(each, documents.DocumentError):
            raise _error(f"the file is neither YAML nor JSON: {each}")
        if not isinstance(each, Mapping):
            raise _error(f"each document must be an object, not {type(each).__name__}")
        yield each


def _error(message: str) -> PipelineError:
    return PipelineError([Cause("", message)])

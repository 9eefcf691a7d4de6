"""Components and pipelines from compiled files, and components from the files of KFP's first version."""

import copy
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from wherry.objects import documents as objects
from wherry.objects.requests import Object
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir import documents
from wherry.pipelines.ir.documents import Documents, PipelineError
from wherry.pipelines.ir.messages import ParameterType
from wherry.pipelines.sdk import components, first_version
from wherry.pipelines.sdk.channels import Port
from wherry.pipelines.sdk.components import Component
from wherry.pipelines.sdk.errors import CompileError
from wherry.pipelines.sdk.interfaces import Interface
from wherry.pipelines.sdk.lowering import Compiled
from wherry.pipelines.sdk.pipelines import About, AnyPipeline

_SECONDS: Final = 60
_KUBERNETES: Final = "kubernetes"


class LoadedPipeline(AnyPipeline):
    """A pipeline that was compiled before. In this process only what has no steps can be run of it."""

    def __init__(self, read: Documents) -> None:
        spec = read.spec
        info = spec["pipelineInfo"]
        about = About(
            name=info["name"],
            description=info.get("description", ""),
            display_name=info.get("displayName", ""),
            root=spec.get("defaultPipelineRoot", ""),
        )
        super().__init__(about, _interface(spec["root"]))
        self._read = read

    def compiled(self) -> Compiled:
        """Return its IR in parts."""
        spec = copy.deepcopy(self._read.spec)
        return Compiled(
            root=spec["root"],
            components=dict(spec.get("components") or {}),
            executors=_executors(spec),
            settings=_settings(copy.deepcopy(self._read.platform or {})),
        )

    def documents(self) -> Documents:
        """Return its IR as it was loaded."""
        return self._read


def load_component_from_file(file_path: Path | str) -> Component | LoadedPipeline:
    """Return what is in a file, to be called in a pipeline.

    Args:
        file_path: Of YAML that a compiler wrote, of a component or a pipeline, or that somebody wrote for KFP's
            first version.

    Raises:
        CompileError: It is none of these.
        OSError: It cannot be read.
    """
    return _loaded(Path(file_path).read_bytes(), str(file_path))


def load_component_from_text(text: str) -> Component | LoadedPipeline:
    """Return what a text is, to be called in a pipeline; see `load_component_from_file`.

    Raises:
        CompileError: It is neither a component nor a pipeline.
    """
    return _loaded(text.encode(), "the text")


def load_component_from_url(url: str) -> Component | LoadedPipeline:
    """Return what is at an address of http or https; see `load_component_from_file`.

    Raises:
        CompileError: It is neither a component nor a pipeline, or too large.
        OSError: It cannot be had.
    """
    if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
        raise CompileError(f"{url}: want an address of http or https")
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - the scheme has been looked at
        content = answer.read(documents.MOST_BYTES + 1)
    return _loaded(content, url)


def _loaded(content: bytes, place: str) -> Component | LoadedPipeline:
    if len(content) > documents.MOST_BYTES:
        raise CompileError(f"{place}: the file is larger than {documents.MOST_BYTES >> 20} MiB")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise CompileError(f"{place}: want a text in UTF-8: {error}") from error
    try:
        old = _old(text)
        if old is not None:
            return first_version.component(old)
        read = documents.parse(text)
        Pipeline(read.spec, read.platform)
    except (PipelineError, CompileError) as error:
        raise CompileError(f"{place}: {error}") from error
    return _single(read) or LoadedPipeline(read)


def _old(text: str) -> Mapping[str, Any] | None:
    """Return a component of KFP's first version; None: it is another text."""
    found = [each for each in objects.read(text) if isinstance(each, Mapping)]
    return found[0] if len(found) == 1 and "implementation" in found[0] else None


def _single(read: Documents) -> Component | None:
    """Return the component that a file was compiled of; None: it is of a pipeline."""
    name = components.named(read.spec["pipelineInfo"]["name"])
    definition = (read.spec.get("components") or {}).get(f"comp-{name}")
    executor = _executors(read.spec).get(f"exec-{name}")
    if definition is None or executor is None or read.platform is not None:
        return None
    made = Component(name, _interface(definition), dict(executor))
    made.passthroughs = [*definition.get("taskConfigPassthroughs", ())]
    return made


def _executors(spec: Mapping[str, Any]) -> dict[str, Object]:
    return dict((spec.get("deploymentSpec") or {}).get("executors") or {})


def _settings(platform: Mapping[str, Any]) -> dict[str, Object]:
    kubernetes = (platform.get("platforms") or {}).get(_KUBERNETES) or {}
    return dict((kubernetes.get("deploymentSpec") or {}).get("executors") or {})


def _interface(component: Mapping[str, Any]) -> Interface:
    return Interface(
        _ports(component.get("inputDefinitions") or {}),
        _ports(component.get("outputDefinitions") or {}),
    )


def _ports(definitions: Mapping[str, Any]) -> dict[str, Port]:
    readers: dict[str, Callable[[Mapping[str, Any]], Port]] = {
        "parameters": _parameter,
        "artifacts": _artifact,
    }
    return {
        name: read(each)
        for kind, read in readers.items()
        for name, each in (definitions.get(kind) or {}).items()
    }


def _parameter(given: Mapping[str, Any]) -> Port:
    return Port(
        ParameterType(given.get("parameterType", "STRING")),
        # Compilers before version 2 left the word out.
        optional=bool(given.get("isOptional") or "defaultValue" in given),
        default=given.get("defaultValue"),
        literals=tuple(given.get("literals", ())),
        description=given.get("description", ""),
    )


def _artifact(given: Mapping[str, Any]) -> Port:
    kind = given.get("artifactType") or {}
    return Port(
        artifact=kind.get("schemaTitle", "system.Artifact"),
        version=kind.get("schemaVersion", "0.0.1"),
        is_list=bool(given.get("isArtifactList")),
        optional=bool(given.get("isOptional")),
        description=given.get("description", ""),
    )

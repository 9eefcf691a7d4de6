"""The dictionaries of a pipeline into its messages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.errors import Cause
from wherry.pipelines.ir import reading
from wherry.pipelines.ir.executors import Executor
from wherry.pipelines.ir.messages import Component, PipelineSpec
from wherry.pipelines.ir.platforms import KubernetesConfig, PipelineConfig, PlatformSpec

ROOT: Final = "root"
"""What the root component is called."""
KUBERNETES: Final = "kubernetes"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline's parts.

    Attributes:
        spec: The pipeline.
        components: By name, `ROOT` too.
        executors: By label.
        settings: What Kubernetes does for executors, by label.
        config: What holds for the whole run.
    """

    spec: PipelineSpec
    components: Mapping[str, Component]
    executors: Mapping[str, Executor]
    settings: Mapping[str, KubernetesConfig]
    config: PipelineConfig

    def place(self, component: str) -> str:
        """Return where a component stands in the document."""
        return ROOT if component == ROOT else f"components.{component}"


def load(spec: Any, platform: Any = None) -> tuple[Loaded, list[Cause]]:
    """Read a pipeline.

    Args:
        spec: The first document.
        platform: The second one.

    Returns:
        The pipeline, with what could be read, and what is wrong.
    """
    read, causes = reading.read(PipelineSpec, spec)
    executors, more = _executors(read.deployment_spec)
    kubernetes, most = _kubernetes(platform)
    components = {**read.components, ROOT: read.root}
    causes += [*more, *most]
    if ROOT in read.components:
        causes.append(Cause(f"components.{ROOT}", "no component but the root may be called root"))
    loaded = Loaded(
        spec=read,
        components=components,
        executors=executors,
        settings=kubernetes.deployment_spec.executors,
        config=kubernetes.pipeline_config,
    )
    return loaded, causes


def _executors(deployment: Mapping[str, Any]) -> tuple[dict[str, Executor], list[Cause]]:
    """Read executors; fields that are not known are passed over, as upstream does."""
    given, causes = deployment.get("executors") or {}, []
    found: dict[str, Executor] = {}
    path = "deploymentSpec.executors"
    if not isinstance(given, Mapping):
        return {}, [Cause(path, "must be an object", reading.WRONG_TYPE)]
    for label, each in given.items():
        found[label], wrong = reading.read(Executor, each, f"{path}.{label}", strict=False)
        causes += wrong
    return found, causes


def _kubernetes(platform: Any) -> tuple[PlatformSpec, list[Cause]]:
    if platform is None:
        return PlatformSpec(), []
    causes = list(_wrong_platform(platform))
    platforms = platform.get("platforms") or {} if isinstance(platform, Mapping) else {}
    given = platforms.get(KUBERNETES) if isinstance(platforms, Mapping) else None
    if given is None:
        return PlatformSpec(), causes
    found, wrong = reading.read(PlatformSpec, given, f"platforms.{KUBERNETES}")
    return found, causes + wrong


def _wrong_platform(platform: Any) -> Iterator[Cause]:
    if not isinstance(platform, Mapping) or not isinstance(platform.get("platforms", {}), Mapping):
        yield Cause("platforms", "must be an object", reading.WRONG_TYPE)
        return
    for name in set(platform) - {"platforms"}:
        yield Cause(str(name), "unknown field; there is platforms", reading.UNKNOWN)

"""The CustomResourceDefinition of `Environment`, made from the dataclasses of its spec and status."""

from dataclasses import dataclass
from typing import Any, Final

from wherry.kubelet.environments import kinds
from wherry.objects.declared import structural
from wherry.objects.declared.fields import about
from wherry.objects.declared.kind import Column, Kind, Version, condition
from wherry.objects.requests import Object


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """How far the environment is."""

    conditions: tuple[dict[str, Any], ...] = about(
        "Ready: containers can start. Building: with the last line of progress as its message.",
        (),
        **structural.conditions(),
    )
    observed_generation: int = about(
        "The generation that this status describes.", 0, format="int64"
    )
    hash: str = about("Names the content; the folder of the build is called so.", "")
    python: str = about("Version of the interpreter that was taken.", "")
    path: str = about("Where the built environment lies.", "")
    answers: str = about(
        "The value of the annotation wherry.dev/build that this status answers.", ""
    )
    built_at: str = about("When the build was finished.", "", format="date-time")


def crd() -> Object:
    """Return the CustomResourceDefinition of `Environment`."""
    return _KIND.definition()


_KIND: Final = Kind(
    resource=kinds.ENVIRONMENTS,
    versions=(
        Version(
            name=kinds.ENVIRONMENTS.version,
            description="A Python environment that stands for container images.",
            spec=kinds.EnvironmentSpec,
            spec_required=True,
            status=EnvironmentStatus,
            columns=(
                Column("Ready", "string", condition(kinds.READY)),
                Column("Python", "string", ".status.python"),
                Column("Images", "string", ".spec.images", priority=1),
            ),
        ),
    ),
)

"""A container of the user's own that finds the metrics, and sends them to the database's API."""

import posixpath
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from wherry.objects.copies import copied
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning.collector import Wanted
from wherry.tuning.collectors import sidecar
from wherry.tuning.collectors.push import Push

NAME: Final = "metrics-collector"
_FIELD: Final = "spec.metricsCollectorSpec.collector.customCollector"
# What collectors made with Katib's library wait for: the main process, noted as completed by its id.
_SAYING_SO: Final = '"$@" && echo completed > "$WHERRY_METRICS_FOLDER/$$.pid"'


class Custom(Push):
    """Adds the container; it sees the trial's processes and the folder that ``source`` names."""

    kind: ClassVar[str] = "Custom"

    def default(self, spec: Object) -> None:
        """Fill in that a path is a file's."""
        place = (spec.get("source") or {}).get("fileSystemPath")
        if place is not None and not place.get("kind"):
            place["kind"] = "File"

    def validate(self, spec: Object) -> Sequence[Cause]:
        """Return what is wrong with container or path."""
        container = (spec.get("collector") or {}).get("customCollector")
        if not container:
            return [Cause(_FIELD, "Required value: the container that finds the metrics")]
        causes = []
        if not container.get("image"):
            causes.append(Cause(f"{_FIELD}.image", "Required value"))
        place = (spec.get("source") or {}).get("fileSystemPath")
        if place:
            kind = "Directory" if place.get("kind") == "Directory" else "File"
            causes += sidecar.path_causes(spec, kind)
        return causes

    def prepare(self, wanted: Wanted, pod: Object) -> None:
        """Add the container."""
        spec = pod["spec"]
        container = _container(wanted)
        if any(each.get("name") == container["name"] for each in spec["containers"]):
            return
        folder = _folder(wanted.source)
        if folder:
            container.setdefault("volumeMounts", []).append(sidecar.share(wanted, spec, folder))
            _say_when_completed(sidecar.primary(wanted, spec), folder)
        spec["containers"].append(container)
        spec["shareProcessNamespace"] = True


def _container(wanted: Wanted) -> dict[str, Any]:
    collector = wanted.trial["spec"]["metricsCollector"]["collector"]
    container: dict[str, Any] = copied(collector["customCollector"])
    container["name"] = container.get("name") or NAME
    return container


def _folder(source: Object) -> str:
    path = sidecar.path_of(source)
    is_file = (source.get("fileSystemPath") or {}).get("kind") != "Directory"
    return posixpath.dirname(path) if is_file else path.rstrip("/")


def _say_when_completed(container: dict[str, Any], folder: str) -> None:
    command = [*(container.get("command") or ()), *(container.get("args") or ())]
    if not container.get("command"):
        return  # the image's own command is not known here
    container["command"] = ["sh", "-c", _SAYING_SO, "sh", *command]
    container.pop("args", None)
    container.setdefault("env", []).append({"name": "WHERRY_METRICS_FOLDER", "value": folder})

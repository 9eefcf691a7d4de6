"""Search algorithms and stoppers of others, as ``katib-config`` names them. Pure.

A name that we have ourselves is ours, whatever image the ConfigMap has for it: what Katib installs
names an image for each of its own.

Source: kubeflow/katib 0.19, ``pkg/apis/config/v1beta1/types.go``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from wherry.objects import yaml_bounds
from wherry.objects.requests import Object
from wherry.tuning import algorithms, settings, stoppers

VOLUME_PATH: Final = "/opt/katib/data"
_CLAIM: Final[Mapping[str, Any]] = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}},
}
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OWN: Final = (
    "algorithmName",
    "endpoint",
    "persistentVolumeClaimSpec",
    "persistentVolumeLabels",
    "persistentVolumeSpec",
    "resource",
    "serviceAccountName",
    "volumeMountPath",
)

_Part = Mapping[str, Any]


class ConfigError(Exception):
    """The ConfigMap cannot be used; the message says where, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service of somebody else.

    Attributes:
        name: Of its algorithm.
        container: What runs it; empty: it runs already.
        endpoint: ``host:port`` where it runs already.
        account: Service account of its pod; empty: the default one.
        volume_path: Where its data are, with the resume policy FromVolume.
        claim: ``spec`` of the claim that holds these.
        volume: ``spec`` of a volume that is made for the claim; empty: none is.
        volume_labels: Labels of that volume.
    """

    name: str
    container: _Part = field(default_factory=dict)
    endpoint: str = ""
    account: str = ""
    volume_path: str = VOLUME_PATH
    claim: _Part = field(default_factory=lambda: _CLAIM)
    volume: _Part = field(default_factory=dict)
    volume_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What an experiment needs of others.

    Attributes:
        algorithm: None: it is one of ours.
        stopper: None: it is one of ours, or there is none.
    """

    algorithm: Service | None = None
    stopper: Service | None = None

    @property
    def run(self) -> Sequence[Service]:
        """Those that have to be run."""
        return [each for each in (self.algorithm, self.stopper) if each and not each.endpoint]


def wanted(spec: _Part) -> tuple[str, str]:
    """Return the algorithm and the stopper of an experiment that are not ours; empty: it is.

    Args:
        spec: Of an Experiment or a Suggestion.
    """
    algorithm, stopper = (
        str((spec.get(part) or {}).get("algorithmName") or "")
        for part in ("algorithm", "earlyStopping")
    )
    return (
        "" if algorithms.find(algorithm) else algorithm,
        "" if stoppers.find(stopper) else stopper,
    )


def find(spec: _Part, config: Object | None) -> Services:
    """Return what an experiment needs of others.

    Args:
        spec: Of an Experiment or a Suggestion.
        config: The ConfigMap ``katib-config``; None: there is none.

    Raises:
        ConfigError: it is not there.
    """
    algorithm, stopper = wanted(spec)
    runtime = _runtime(config) if algorithm or stopper else {}
    ours = ", ".join(sorted(each.name for each in algorithms.ALL))
    stoppers_of_ours = ", ".join(sorted(each.name for each in stoppers.ALL))
    return Services(
        algorithm=_one(runtime, "suggestions", algorithm, ours),
        stopper=_one(runtime, "earlyStoppings", stopper, stoppers_of_ours),
    )


def claim(name: str, config: Object | None) -> _Part:
    """Return the ``spec`` of the claim of an algorithm's volume; ours may have one configured too.

    Raises:
        ConfigError: the ConfigMap cannot be read.
    """
    for entry in _entries(_runtime(config), "suggestions"):
        if entry.get("algorithmName") == name and entry.get("persistentVolumeClaimSpec"):
            return dict(entry["persistentVolumeClaimSpec"])
    return _CLAIM


def _runtime(config: Object | None) -> _Part:
    text = ((config or {}).get("data") or {}).get(settings.KEY) or ""
    try:
        yaml_bounds.check(text)
        found = yaml.load(text, Loader=_LOADER)  # noqa: S506 - it is a safe loader
    except yaml.YAMLError as error:
        told = " ".join(str(error).split())[:300]
        raise ConfigError(f"ConfigMap {settings.NAME}: {settings.KEY}: not YAML: {told}") from None
    runtime = found.get("runtime") if isinstance(found, dict) else None
    return runtime if isinstance(runtime, dict) else {}


def _one(runtime: _Part, part: str, name: str, ours: str) -> Service | None:
    if not name:
        return None
    known = []
    for entry in _entries(runtime, part):
        known.append(str(entry.get("algorithmName")))
        if known[-1] == name:
            return _service(entry, f"ConfigMap {settings.NAME}: runtime.{part}: {name}")
    others = f"; runtime.{part} of ConfigMap {settings.NAME} names {', '.join(known) or 'no other'}"
    raise ConfigError(f'"{name}": want one of {ours}{others}')


def _entries(runtime: _Part, part: str) -> Iterator[_Part]:
    found = runtime.get(part)
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, dict):
            yield entry


def _service(entry: _Part, where: str) -> Service:
    container = {key: value for key, value in entry.items() if key not in _OWN}
    if entry.get("resource") and not container.get("resources"):
        container["resources"] = entry["resource"]
    endpoint = str(entry.get("endpoint") or "")
    if not endpoint and not container.get("image"):
        raise ConfigError(f"{where}: want image, or endpoint of a service that runs already")
    if endpoint and not endpoint.rpartition(":")[2].isdecimal():
        raise ConfigError(f'{where}: endpoint "{endpoint}": want host:port')
    return Service(
        name=str(entry["algorithmName"]),
        container={} if endpoint else container,
        endpoint=endpoint,
        account=str(entry.get("serviceAccountName") or ""),
        volume_path=str(entry.get("volumeMountPath") or VOLUME_PATH),
        claim=entry.get("persistentVolumeClaimSpec") or _CLAIM,
        volume=entry.get("persistentVolumeSpec") or {},
        volume_labels=entry.get("persistentVolumeLabels") or {},
    )

"""Templates that run no container of the user's: resource, http and data run our agent in their place.

It runs in a pod of the node's own, under the account that the Workflow names: its rights count.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.staging import staged
from wherry.pipelines.steps.draft import MAIN, Draft, StepError
from wherry.pipelines.workflows.artifacts import (
    errands,
    in_pod,
    locations,
    one_document,
    stores,
)
from wherry.pipelines.workflows.artifacts.errands import Secrets
from wherry.pipelines.workflows.artifacts.in_pod import Hire
from wherry.pipelines.workflows.artifacts.locations import Location
from wherry.pipelines.workflows.artifacts.order import Order

KINDS: Final = ("resource", "http", "data")
_EXPRESSIONS: Final = ("google-re2", "orjson", "python-jsonpath")
"""Packages that expressions need."""
_PATHS: Final = ("python-jsonpath",)
_FILTERS: Final = ("jq",)
_MANIFESTS: Final = ("pyyaml",)
_ASKED: Final = ("jsonPath", "jqFilter", "default")

_Told = Mapping[str, Any]


class _Errand:
    """What an agent is told, and what it needs for that."""

    def __init__(self, kind: str, order: Order) -> None:
        self.kind = kind
        self.order = order
        self.template: _Told = order.template[kind]
        self.told: Object = {}
        self.packages: set[str] = set()
        self.secrets = Secrets()
        self.sources: list[Location] = []
        self.uris: list[str] = []
        {"resource": self._resource, "http": self._http, "data": self._data}[kind]()

    def _resource(self) -> None:
        told, order = self.template, self.order
        workflow = order.workflow
        outputs = (order.template.get("outputs") or {}).get("parameters") or ()
        asked = [
            {
                "name": each["name"],
                **{name: each["valueFrom"][name] for name in _ASKED if name in each["valueFrom"]},
            }
            for each in outputs
            if each.get("valueFrom")
        ]
        self.told = {
            "action": told.get("action"),
            "mergeStrategy": told.get("mergeStrategy") or "",
            "success": told.get("successCondition") or "",
            "failure": told.get("failureCondition") or "",
            "flags": [str(each) for each in told.get("flags") or ()],
            "namespace": metadata.namespace(workflow),
            "parameters": asked,
        }
        if told.get("setOwnerReference"):
            self.told["owner"] = metadata.owner_reference(workflow)
        if told.get("manifestFrom"):
            self.told["manifestFrom"] = self._manifest(told["manifestFrom"].get("artifact") or {})
        else:
            manifest = str(told.get("manifest") or "")
            self.told["manifest"] = one_document.read(manifest, "resource.manifest")
        self.packages |= {*_PATHS} if any(each.get("jsonPath") for each in asked) else set()
        self.packages |= {*_FILTERS} if any(each.get("jqFilter") for each in asked) else set()

    def _manifest(self, artifact: _Told) -> Object:
        where = "resource.manifestFrom.artifact"
        name = str(artifact.get("name") or "")
        made = self.order.inputs.artifacts.get(name)
        # It names an input of the template, which may say itself where it is.
        written = (self.order.template.get("inputs") or {}).get("artifacts") or ()
        own: Mapping[str, Any] = next((each for each in written if each["name"] == name), {})
        self.packages |= {*_MANIFESTS}
        location = (
            locations.of(made[0])
            if made
            else locations.completed({**own, **artifact}, self.order.repository, where)
        )
        self.sources.append(location)
        errand = errands.source(location, where, self.secrets)
        self.uris += errands.needed([errand])
        return errand

    def _http(self) -> None:
        told = self.template
        self.told = {
            "method": told.get("method") or "GET",
            "url": told.get("url") or "",
            "headers": [self._header(each) for each in told.get("headers") or ()],
            "timeout": told.get("timeoutSeconds"),
            "success": told.get("successCondition") or "",
            "body": told.get("body") or "",
            "bytes": (told.get("bodyFrom") or {}).get("bytes") or "",
            "insecure": bool(told.get("insecureSkipVerify")),
        }
        self.packages |= {*_EXPRESSIONS} if told.get("successCondition") else set()

    def _header(self, said: _Told) -> tuple[str, str, bool]:
        """Return name and value of a header, or the variable with the value."""
        reference = (said.get("valueFrom") or {}).get("secretKeyRef")
        if reference:
            return str(said["name"]), self.secrets.variable(reference), True
        return str(said["name"]), str(said.get("value") or ""), False

    def _data(self) -> None:
        where = "data.source.artifactPaths"
        said = (self.template.get("source") or {}).get("artifactPaths") or {}
        location = locations.completed(said, self.order.repository, where)
        kind = locations.kind(location, where)
        if kind and kind not in locations.STORES:
            raise StepError(f"{where}.{kind}: want one of {', '.join(locations.STORES)}")
        steps = self.template.get("transformation") or ()
        self.told = {
            "uri": locations.folder(location, where),
            "transformation": [each["expression"] for each in steps if each.get("expression")],
        }
        self.sources.append(location)
        self.uris += errands.needed([self.told])
        self.packages |= {*_EXPRESSIONS}


def runs(order: Order) -> bool:
    """Return whether our agent runs in place of a container of the user's."""
    return any(order.template.get(each) for each in KINDS)


def fill(draft: Draft, order: Order, agent: Hire, folder: Path | None) -> None:
    """Have a pod run the agent.

    Args:
        draft: The pod; changed in place.
        order: What is to run.
        agent: Gives what runs.
        folder: Of this machine, with the artifacts of the namespace; None: pods run elsewhere.

    Raises:
        StepError: what it is to do cannot be told it.
    """
    kind = next(each for each in KINDS if order.template.get(each))
    errand = _Errand(kind, order)
    reached = stores.providers(order.repository.root, errand.sources)
    container = agent().container(draft, MAIN, [kind], _packages(errand), module=in_pod.MODULE)
    container["env"] += [
        staged.plan(errand.told),
        *reached.variables(errand.uris),
        *errand.secrets.variables,
    ]
    if any(str(each.get("uri") or "").startswith("file://") for each in errand.sources):
        container["volumeMounts"].append(in_pod.namespace(draft, folder))
    draft.container.update(container)
    _account(draft, order)


def _packages(errand: _Errand) -> Collection[str]:
    if errand.uris or errand.kind == "data":
        return {*errand.packages, *staged.packages(errand.uris)}
    return errand.packages


def _account(draft: Draft, order: Order) -> None:
    """Have the pod run under the account of the executor, where the Workflow names one apart."""
    for said in (order.spec.get("executor"), order.template.get("executor")):
        if said and said.get("serviceAccountName"):
            draft.spec["serviceAccountName"] = said["serviceAccountName"]
            draft.spec["automountServiceAccountToken"] = True

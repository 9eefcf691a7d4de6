"""Rows of the ``apps`` group, and of the ReplicationController, which looks the same."""

import datetime
from typing import Any

from wherry.apiserver import table
from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import (
    AGE,
    CONTAINERS,
    IMAGES,
    NAME,
    SELECTOR,
    Layout,
    column,
    named,
)
from wherry.objects import metadata
from wherry.objects.requests import Object

_READY = column("Ready", "Pods that are ready, of those wanted.")
_WIDE = (CONTAINERS, IMAGES, SELECTOR)


def _parts(obj: Object) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    spec = obj.get("spec") or {}
    return spec, obj.get("status") or {}, (spec.get("template") or {}).get("spec") or {}


def _count(name: str, description: str, kind: str = "integer") -> table.Column:
    return column(name, description, kind=kind)


def _deployment(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status, pod = _parts(obj)
    return [
        obj["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        texts.age(obj, now),
        *texts.containers(pod),
        texts.selector_text(spec.get("selector")),
    ]


def _replicas(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status, pod = _parts(obj)
    selector = spec.get("selector")
    of_controller = obj.get("kind") == "ReplicationController"
    return [
        obj["metadata"]["name"],
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        texts.age(obj, now),
        *texts.containers(pod),
        texts.joined_labels(selector) if of_controller else texts.selector_or_none(selector),
    ]


def _stateful_set(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status, pod = _parts(obj)
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [obj["metadata"]["name"], ready, texts.age(obj, now), *texts.containers(pod)]


def _daemon_set(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status, pod = _parts(obj)
    return [
        obj["metadata"]["name"],
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        texts.joined_labels(pod.get("nodeSelector")),
        texts.age(obj, now),
        *texts.containers(pod),
        texts.selector_or_none(spec.get("selector")),
    ]


def _controller_revision(obj: Object, now: datetime.datetime) -> list[Any]:
    owner = metadata.controller_of(obj)
    if owner is None:
        return [texts.NONE, obj.get("revision", 0)]
    group = owner["apiVersion"].rpartition("/")[0]
    kind = f"{owner['kind']}.{group}" if group else owner["kind"]
    return [f"{kind.lower()}/{owner['name']}", obj.get("revision", 0)]


_REPLICAS = Layout(
    (
        NAME,
        _count("Desired", "Pods that are wanted."),
        _count("Current", "Pods that exist."),
        _count("Ready", "Pods that are ready."),
        AGE,
        *_WIDE,
    ),
    _replicas,
)

TABLES = {
    "deployments.apps": Layout(
        (
            NAME,
            _READY,
            _count("Up-to-date", "Pods made from the current template.", "string"),
            _count("Available", "Pods that were ready for long enough.", "string"),
            AGE,
            *_WIDE,
        ),
        _deployment,
    ),
    "replicasets.apps": _REPLICAS,
    "replicationcontrollers": _REPLICAS,
    "statefulsets.apps": Layout((NAME, _READY, AGE, CONTAINERS, IMAGES), _stateful_set),
    "daemonsets.apps": Layout(
        (
            NAME,
            _count("Desired", "Nodes that should run the pod."),
            _count("Current", "Nodes that run the pod and should."),
            _count("Ready", "Nodes whose pod is ready."),
            _count("Up-to-date", "Nodes whose pod is made from the current template."),
            _count("Available", "Nodes whose pod was ready for long enough."),
            column("Node Selector", "Labels a node must have."),
            AGE,
            *_WIDE,
        ),
        _daemon_set,
    ),
    "controllerrevisions.apps": named(
        column("Controller", "Owner of the revision."),
        column("Revision", "Number of the revision."),
        cells_of=_controller_revision,
    ),
}

"""Objects with defaults, so that a test states only what it is about.

Each builder returns a new dict that is the caller's to change. ``metadata`` and ``spec`` take what
a builder has no argument for; they are laid over what it made, field by field.
"""

from collections.abc import Mapping
from typing import Any

from wherry.objects.requests import Object

IMAGE = "python:3"
"""An image that every platform has: the default Environment, Wherry's own Python."""

Fields = Mapping[str, Any]


def namespace(name: str) -> Object:
    """Build a Namespace."""
    return _object("v1 Namespace", name, "")


def container(
    name: str = "main",
    *,
    script: str = "",
    python: str = "",
    image: str = IMAGE,
    **fields: Any,
) -> dict[str, Any]:
    """Build a container.

    Args:
        name: Its name in the pod.
        script: What `sh -c` runs. By default, and without ``python``, it sleeps until it is told
            to end.
        python: What `python -c` runs, in place of ``script``; its output is not buffered.
        image: Its image.
        **fields: Further fields, by their Kubernetes names.
    """
    # `exec`, so that it is the sleep that gets the signal, and ends.
    command = ["sh", "-c", script or "exec sleep 1000000"]
    if python:
        command = ["python", "-u", "-c", python]
    return {"name": name, "image": image, "command": command, **fields}


def pod(
    name: str,
    *,
    namespace: str = "default",
    script: str = "",
    restart: str = "Never",
    metadata: Fields | None = None,
    **spec: Any,
) -> Object:
    """Build a Pod of one container.

    Args:
        name: Its name.
        namespace: Its namespace.
        script: What its container runs by `sh -c`; by default it waits to be told to end.
        restart: Its restartPolicy.
        metadata: Further fields of the metadata, as labels.
        **spec: Further fields of the spec; ``containers`` replaces the one that is made.
    """
    template = _template(script, restart, {}, spec)
    return _object("v1 Pod", name, namespace, metadata) | {"spec": template["spec"]}


def job(
    name: str,
    *,
    namespace: str = "default",
    script: str = "true",
    restart: str = "Never",
    template: Fields | None = None,
    **spec: Any,
) -> Object:
    """Build a Job of one completion.

    Args:
        name: Its name.
        namespace: Its namespace.
        script: What each pod runs by `sh -c`.
        restart: The pods' restartPolicy.
        template: Further fields of the pods' spec.
        **spec: Further fields of the Job's spec, as ``completions``.
    """
    pods = _template(script, restart, {}, template or {})
    built = {"template": pods, **spec}
    return _object("batch/v1 Job", name, namespace) | {"spec": built}


def deployment(
    name: str,
    *,
    namespace: str = "default",
    script: str = "",
    replicas: int = 1,
    template: Fields | None = None,
    **spec: Any,
) -> Object:
    """Build a Deployment whose pods bear the label ``app`` with its name.

    Args:
        name: Its name.
        namespace: Its namespace.
        script: What each pod runs by `sh -c`; by default they wait to be told to end.
        replicas: How many.
        template: Further fields of the pods' spec.
        **spec: Further fields of the Deployment's spec, as ``strategy``.
    """
    labels = {"app": name}
    built = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": _template(script, "Always", labels, template or {}),
        **spec,
    }
    return _object("apps/v1 Deployment", name, namespace) | {"spec": built}


def service(
    name: str,
    *,
    namespace: str = "default",
    port: int = 80,
    target_port: int | str | None = None,
    app: str = "",
    **spec: Any,
) -> Object:
    """Build a Service of one port.

    Args:
        name: Its name.
        namespace: Its namespace.
        port: Its port.
        target_port: The pods' port, by number or name; by default the same as ``port``.
        app: Value of the label ``app`` of its pods; by default its own name.
        **spec: Further fields of the spec, as ``type``.
    """
    ports = [{"port": port, "targetPort": target_port if target_port is not None else port}]
    built = {"selector": {"app": app or name}, "ports": ports, **spec}
    return _object("v1 Service", name, namespace) | {"spec": built}


def config_map(name: str, *, namespace: str = "default", **data: str) -> Object:
    """Build a ConfigMap of ``data``."""
    return _object("v1 ConfigMap", name, namespace) | {"data": dict(data)}


def secret(name: str, *, namespace: str = "default", **data: str) -> Object:
    """Build an Opaque Secret; ``data`` is plain text, for ``stringData``."""
    made = {"type": "Opaque", "stringData": dict(data)}
    return _object("v1 Secret", name, namespace) | made


def claim(name: str, *, namespace: str = "default", storage: str = "1Mi", **spec: Any) -> Object:
    """Build a PersistentVolumeClaim on the default StorageClass.

    Args:
        name: Its name.
        namespace: Its namespace.
        storage: How much it asks for, as a quantity.
        **spec: Further fields of the spec.
    """
    built = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage}},
        **spec,
    }
    return _object("v1 PersistentVolumeClaim", name, namespace) | {"spec": built}


def volumes(**sources: tuple[str, Fields]) -> dict[str, list[dict[str, Any]]]:
    """Build ``volumes`` of a pod and the ``volumeMounts`` of its container, from one table.

    Args:
        **sources: By the volume's name: where it is mounted, and its source, for example
            ``data=("/data", {"emptyDir": {}})``.

    Returns:
        ``{"volumes": [...], "volumeMounts": [...]}``.
    """
    return {
        "volumes": [{"name": name, **source} for name, (_, source) in sources.items()],
        "volumeMounts": [{"name": name, "mountPath": path} for name, (path, _) in sources.items()],
    }


def _template(script: str, restart: str, labels: Fields, spec: Fields) -> dict[str, Any]:
    pod_spec = {
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": 2,
        "containers": [container(script=script)],
        **spec,
    }
    return {"metadata": {"labels": dict(labels)}, "spec": pod_spec}


def _object(kind: str, name: str, space: str, metadata: Fields | None = None) -> Object:
    """Build the head of an object; ``kind`` is preceded by the apiVersion and a space."""
    api_version, _, bare = kind.partition(" ")
    placed = {"name": name, **({"namespace": space} if space else {}), **(metadata or {})}
    return {"apiVersion": api_version, "kind": bare, "metadata": placed}

"""What the API is told: definitions, webhooks, and the rights of the controllers. Pure."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wherry.controller import people
from wherry.controller.component import Component
from wherry.objects import kinds
from wherry.objects.declared.kind import Kind
from wherry.objects.requests import Object

NAME = "wherry"
_TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the webhooks are served, and whom the API may believe there.

    Attributes:
        url: ``https://host:port`` as the API reaches it; empty where `service` is given.
        service: ``namespace/name`` of a Service in the cluster, on port 443.
        authority: PEM of the certificate.
    """

    url: str
    service: str
    authority: bytes

    def client_config(self, path: str) -> Object:
        """Return the `clientConfig` of one webhook."""
        bundle = base64.b64encode(self.authority).decode()
        if self.service:
            namespace, _, name = self.service.partition("/")
            service = {"namespace": namespace, "name": name, "path": path}
            return {"caBundle": bundle, "service": service}
        return {"caBundle": bundle, "url": f"{self.url.rstrip('/')}{path}"}


def definitions(components: Sequence[Component], endpoint: Endpoint | None) -> list[Object]:
    """Return every CustomResourceDefinition; with an endpoint, kinds that convert say so."""
    return [_definition(kind, endpoint) for component in components for kind in component.kinds]


def _definition(kind: Kind, endpoint: Endpoint | None) -> Object:
    definition = kind.definition()
    if endpoint is not None and kind.convert is not None:
        definition["spec"]["conversion"] = {
            "strategy": "Webhook",
            "webhook": {
                "conversionReviewVersions": ["v1"],
                "clientConfig": endpoint.client_config(f"/convert/{kind.resource.key}"),
            },
        }
    return definition


def webhooks(components: Sequence[Component], endpoint: Endpoint) -> list[Object]:
    """Return the two webhook configurations that cover all kinds, and pods that products change."""
    declared = [kind for component in components for kind in component.kinds]
    defaulting = [
        _webhook(kind, "default", endpoint) for kind in declared if kind.default or kind.maker
    ]
    defaulting += [each for component in components for each in _pod_webhooks(component, endpoint)]
    checking = [
        _webhook(kind, "validate", endpoint)
        for kind in declared
        if kind.validate or kind.related or kind.rights or kind.warnings
    ]
    made = (
        (kinds.MUTATING_WEBHOOK_CONFIGURATIONS, defaulting),
        (kinds.VALIDATING_WEBHOOK_CONFIGURATIONS, checking),
    )
    return [
        {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": NAME},
            "webhooks": entries,
        }
        for resource, entries in made
        if entries
    ]


def _webhook(kind: Kind, path: str, endpoint: Endpoint) -> Object:
    resource = kind.resource
    rule = {
        "apiGroups": [resource.group],
        "apiVersions": [resource.version],
        "resources": [resource.plural],
        "operations": ["CREATE", "UPDATE"],
        "scope": "Namespaced" if resource.namespaced else "Cluster",
    }
    return {
        "name": f"{path}.{resource.plural}.{resource.group}",
        "rules": [rule],
        "clientConfig": endpoint.client_config(f"/{path}/{resource.key}"),
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "timeoutSeconds": _TIMEOUT_SECONDS,
    }


def _pod_webhooks(component: Component, endpoint: Endpoint) -> list[Object]:
    """Return the webhooks for pods; one for each way in which they are chosen."""
    if component.pods is None:
        return []
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["pods"],
        "operations": ["CREATE"],
        "scope": "Namespaced",
    }
    return [
        {
            "name": f"{number}.pods.{component.name}.wherry.dev",
            "rules": [rule],
            "clientConfig": endpoint.client_config(f"/pods/{component.name}"),
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            # Pods are chosen widely: those that are not ours must be made while we are away.
            "failurePolicy": "Ignore",
            "timeoutSeconds": _TIMEOUT_SECONDS,
            **selector,
        }
        for number, selector in enumerate(component.pods.selectors())
    ]


def rules(components: Sequence[Component]) -> list[Object]:
    """Return what the controllers and the registration need: rules of a ClusterRole."""
    made: list[Object] = [
        _rule("", ["events"], ["create", "patch", "update"]),
        _rule("events.k8s.io", ["events"], ["create", "patch", "update"]),
        _rule("coordination.k8s.io", ["leases"], ["create", "get", "update"]),
        _rule(
            "apiextensions.k8s.io",
            ["customresourcedefinitions"],
            ["create", "get", "patch", "update"],
        ),
        _rule(
            "admissionregistration.k8s.io",
            ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
            ["create", "get", "patch", "update"],
        ),
    ]
    for component in components:
        for kind in component.kinds:
            resource = kind.resource
            every = ["get", "list", "watch", "create", "update", "patch", "delete"]
            made.append(_rule(resource.group, [resource.plural], every))
            below = [f"{resource.plural}/status", f"{resource.plural}/finalizers"]
            made.append(_rule(resource.group, below, ["get", "update", "patch"]))
        made.extend(component.rules)
    return made


def _rule(
    group: str, resources: list[str], verbs: list[str], names: list[str] | None = None
) -> Object:
    made: Object = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return {**made, "resourceNames": names} if names else made


_CERTIFICATE: Final[tuple[Object, ...]] = (
    _rule("", ["secrets"], ["get", "update"], [f"{NAME}-webhooks"]),
    # Who may create something may do so under any name.
    _rule("", ["secrets"], ["create"]),
)
"""What keeping the webhooks' certificate takes, where the controllers are installed."""


def access(components: Sequence[Component], namespace: str) -> list[Object]:
    """Return namespace, account, roles and bindings under which the controllers run on a cluster."""
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": namespace}
    role = kinds.CLUSTER_ROLES
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": namespace},
        },
        {
            "apiVersion": role.api_version,
            "kind": role.kind,
            "metadata": {"name": f"{NAME}-controllers"},
            "rules": rules(components),
        },
        {
            "apiVersion": role.api_version,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{NAME}-controllers"},
            "roleRef": {
                "apiGroup": role.group,
                "kind": role.kind,
                "name": f"{NAME}-controllers",
            },
            "subjects": [account],
        },
        *people.roles(components),
        *(obj for component in components for obj in component.roles()),
        *_local(f"{NAME}-webhooks", namespace, _CERTIFICATE, account),
        *(
            obj
            for component in components
            for where, granted in component.local_rules.items()
            for obj in _local(f"{NAME}-{component.name}", where, granted, account)
        ),
    ]


def _local(
    name: str, namespace: str, granted: Sequence[Object], account: Object
) -> tuple[Object, Object]:
    """Return a role of one namespace, and its binding."""
    role, binding = kinds.ROLES, kinds.ROLE_BINDINGS
    head = {"apiVersion": role.api_version, "metadata": {"name": name, "namespace": namespace}}
    return (
        {**head, "kind": role.kind, "rules": [*granted]},
        {
            **head,
            "kind": binding.kind,
            "roleRef": {"apiGroup": role.group, "kind": role.kind, "name": name},
            "subjects": [account],
        },
    )

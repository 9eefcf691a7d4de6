"""What every cluster is born with, and what becomes of it when people change it."""

from typing import Any

import pytest

from wherry.apiserver import bootstrap
from wherry.apiserver.authorization import RoleAuthorizer
from wherry.apiserver.identity import Attributes, User
from wherry.embedded.bootstrapping import bootstrap_cluster
from wherry.objects import kinds, metadata, usage

RESOURCES: dict[str, set[str]] = {}
for _kind in (*kinds.BUILTIN, usage.NODE_METRICS, usage.POD_METRICS):
    RESOURCES.setdefault(_kind.group, set()).add(_kind.plural)


class Defaults:
    """The default roles, each bound to a user of its name in one namespace and everywhere."""

    def __init__(self) -> None:
        bound = [
            {
                "metadata": {"name": metadata.name(role), "namespace": "mine"},
                "roleRef": {"kind": "ClusterRole", "name": metadata.name(role)},
                "subjects": [{"kind": "User", "name": metadata.name(role)}],
            }
            for role in bootstrap.roles()
        ]
        self.objects: dict[str, Any] = {
            kinds.CLUSTER_ROLES.key: bootstrap.roles(),
            kinds.CLUSTER_ROLE_BINDINGS.key: bootstrap.role_bindings(),
            kinds.ROLE_BINDINGS.key: bound,
        }

    def revision(self) -> int:
        return 1

    def list(self, resource: str) -> Any:
        return self.objects.get(resource, [])


AUTHORIZER = RoleAuthorizer(Defaults())


def may(user: str, verb: str, resource: str, group: str = "", namespace: str = "mine") -> bool:
    plural, _, subresource = resource.partition("/")
    asked = Attributes(
        User(user), verb, group=group, resource=plural, subresource=subresource, namespace=namespace
    )
    return AUTHORIZER.authorize(asked).allowed


def test_rules_name_what_is_served() -> None:
    # Parts of a cluster that are spoken of and never stored.
    unserved = {"signers", "localsubjectaccessreviews", "scheduledjobs"}
    for role in bootstrap.roles():
        for rule in role["rules"]:
            for group in rule.get("apiGroups", ()):
                for each in rule["resources"]:
                    plural = each.partition("/")[0]
                    known = RESOURCES.get(group, set()) | unserved | {"*"}
                    assert group == "*" or plural in known, (metadata.name(role), group, each)


def test_names_are_there_once() -> None:
    names = [metadata.name(role) for role in bootstrap.roles()]
    assert len(names) == len(set(names))
    assert {
        *("cluster-admin", "admin", "edit", "view", "system:node", "system:kube-scheduler"),
        *("system:auth-delegator", "system:kube-controller-manager", "system:monitoring"),
        *("system:discovery", "system:basic-user", "system:public-info-viewer"),
    } <= set(names)
    for binding in bootstrap.role_bindings():
        assert binding["roleRef"]["name"] in names


@pytest.mark.parametrize("kind", ["configmaps", "pods", "services", "persistentvolumeclaims"])
def test_view_edit_and_admin(kind: str) -> None:
    assert may("view", "list", kind)
    assert not may("view", "create", kind)
    for name in ("edit", "admin"):
        for verb in ("get", "create", "patch", "delete", "deletecollection"):
            assert may(name, verb, kind), (name, verb)
        assert not may(name, "list", kind, namespace="other")


def test_secrets_and_running_pods_are_not_for_viewers() -> None:
    for resource in ("secrets", "pods/exec", "pods/portforward", "pods/attach", "pods/proxy"):
        for verb in ("get", "create"):
            assert not may("view", verb, resource), resource
            assert may("edit", verb, resource), resource
    assert may("view", "get", "pods/log")
    assert not may("view", "create", "serviceaccounts/token")
    assert not may("view", "impersonate", "serviceaccounts")


def test_only_admins_share_and_nobody_changes_quotas_or_endpoints() -> None:
    group = kinds.ROLES.group
    assert may("admin", "create", "rolebindings", group)
    assert not may("edit", "create", "rolebindings", group)
    assert not may("edit", "get", "roles", group)
    for name in ("edit", "admin"):
        for resource in ("resourcequotas", "limitranges", "namespaces", "endpoints"):
            assert not may(name, "update", resource), resource
        assert not may(name, "update", "endpointslices", "discovery.k8s.io")
        for verb in ("escalate", "bind"):
            assert not may(name, verb, "clusterroles", group)


async def test_default_roles_are_completed_and_what_people_added_stays(cluster: Any) -> None:
    async def again() -> None:
        await bootstrap_cluster(
            cluster.client, address="127.96.0.1", host="127.0.0.1", port=6443, extra=[]
        )

    await again()
    client, name = cluster.client, "system:discovery"
    present = await client.get(kinds.CLUSTER_ROLES, name)
    extra = {"verbs": ["get"], "nonResourceURLs": ["/mine"]}
    await client.update(kinds.CLUSTER_ROLES, {**present, "rules": [extra]})
    await client.delete(kinds.CLUSTER_ROLE_BINDINGS, name)
    await again()
    after = await client.get(kinds.CLUSTER_ROLES, name)
    assert after["rules"] == [extra, *present["rules"]]
    assert await client.get(kinds.CLUSTER_ROLE_BINDINGS, name)
    # What somebody has taken over is left alone, and nothing is written in vain.
    owned = {**after["metadata"], "annotations": {}}
    await client.update(kinds.CLUSTER_ROLES, {**after, "metadata": owned, "rules": [extra]})
    revision = cluster.store.revision
    await again()
    assert cluster.store.revision == revision
    assert (await client.get(kinds.CLUSTER_ROLES, name))["rules"] == [extra]

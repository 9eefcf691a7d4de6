"""Nobody gives what they do not have."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.apiserver.auth import rule_cover
from wherry.apiserver.authorization import Rule
from wherry.apiserver.identity import Attributes, User
from wherry.client.client import Client
from wherry.objects import errors, kinds
from wherry.objects.requests import Object

GROUP = kinds.ROLES.group
ADA: Object = {"kind": "User", "apiGroup": GROUP, "name": "ada"}
BOB: Object = {"kind": "User", "apiGroup": GROUP, "name": "bob"}


def rule(verbs: str, resources: str, group: str = "", *names: str) -> Object:
    found: Object = {
        "verbs": verbs.split(),
        "apiGroups": [group],
        "resources": resources.split(),
    }
    return found | ({"resourceNames": list(names)} if names else {})


WRITES = rule(
    "create update patch delete", "roles rolebindings clusterroles clusterrolebindings", GROUP
)


@pytest.fixture
async def ada(cluster: Any) -> Client:
    """May write all roles and bindings everywhere, and get pods in `default`."""
    await cluster.role("writer", WRITES, namespace="")
    await cluster.bind("writer", "writer", ADA, kind="ClusterRole", namespace="")
    await cluster.role("pods", rule("get list", "pods"))
    await cluster.bind("pods", "pods", ADA)
    client: Client = cluster.as_user("ada", "devs")
    return client


def role(name: str, *rules: Object, namespace: str = "default") -> Object:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"metadata": metadata, "rules": list(rules)}


def binding(name: str, kind: str, target: str, namespace: str = "default") -> Object:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    reference = {"apiGroup": GROUP, "kind": kind, "name": target}
    return {"metadata": metadata, "roleRef": reference, "subjects": [BOB]}


async def test_a_role_of_rights_that_one_holds(ada: Client) -> None:
    await ada.create(kinds.ROLES, role("r", rule("get", "pods"), rule("list", "pods", "", "x")))


async def test_a_role_of_more(ada: Client) -> None:
    with pytest.raises(errors.ForbiddenError) as caught:
        await ada.create(kinds.ROLES, role("r", rule("get delete", "pods secrets")))
    assert caught.value.message == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "ada" '
        '(groups=["devs" "system:authenticated"]) is attempting to grant RBAC permissions not '
        "currently held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["delete" "get"]}'
    )


@pytest.mark.parametrize(
    "more",
    [
        rule("get", "pods", "*"),
        rule("*", "pods"),
        rule("get", "*"),
        rule("get", "pods/log"),
        rule("get", "*/status"),
        rule("get", "nodes"),
    ],
)
async def test_wildcards_and_subresources_are_more(ada: Client, more: Object) -> None:
    with pytest.raises(errors.ForbiddenError, match="attempting to grant"):
        await ada.create(kinds.ROLES, role("r", more))


async def test_rights_of_one_namespace_are_not_those_of_another(ada: Client) -> None:
    for place in ("other", ""):
        resource = kinds.ROLES if place else kinds.CLUSTER_ROLES
        with pytest.raises(errors.ForbiddenError, match="attempting to grant"):
            await ada.create(resource, role("r", rule("get", "pods"), namespace=place))


async def test_updates_and_patches(cluster: Any, ada: Client) -> None:
    present = await cluster.client.create(kinds.ROLES, role("r", rule("get", "secrets")))
    # What does not touch the rules is for everybody who may write.
    labelled = {**present["metadata"], "labels": {"a": "b"}}
    present = await ada.update(kinds.ROLES, {**present, "metadata": labelled})
    with pytest.raises(errors.ForbiddenError, match="attempting to grant"):
        await ada.update(kinds.ROLES, {**present, "rules": [rule("get list", "secrets")]})
    patch = {"rules": [rule("list", "secrets")]}
    with pytest.raises(errors.ForbiddenError, match="attempting to grant"):
        await ada.patch(kinds.ROLES, "r", patch, "default")
    await ada.patch(kinds.ROLES, "r", {"rules": [rule("get", "pods")]}, "default")
    await ada.delete(kinds.ROLES, "r", "default")


async def test_a_binding_gives_what_its_role_allows(cluster: Any, ada: Client) -> None:
    await cluster.role("secrets", rule("get", "secrets"))
    await ada.create(kinds.ROLE_BINDINGS, binding("b1", "Role", "pods"))
    with pytest.raises(errors.ForbiddenError, match="attempting to grant") as caught:
        await ada.create(kinds.ROLE_BINDINGS, binding("b2", "Role", "secrets"))
    assert caught.value.message.startswith(
        'rolebindings.rbac.authorization.k8s.io "b2" is forbidden'
    )
    for kind in ("view", "edit", "admin", "cluster-admin"):
        with pytest.raises(errors.ForbiddenError, match="attempting to grant"):
            await ada.create(kinds.ROLE_BINDINGS, binding("b3", "ClusterRole", kind))
        body = binding("b3", "ClusterRole", kind, namespace="")
        with pytest.raises(errors.ForbiddenError, match="attempting to grant"):
            await ada.create(kinds.CLUSTER_ROLE_BINDINGS, body)


async def test_a_binding_to_a_role_that_may_come(ada: Client) -> None:
    for kind in ("Role", "ClusterRole"):
        with pytest.raises(errors.NotFoundError, match='"later" not found'):
            await ada.create(kinds.ROLE_BINDINGS, binding("b", kind, "later"))


async def test_subjects_added_to_a_binding(cluster: Any, ada: Client) -> None:
    await cluster.role("secrets", rule("get", "secrets"))
    present = await cluster.client.create(kinds.ROLE_BINDINGS, binding("b", "Role", "secrets"))
    with pytest.raises(errors.ForbiddenError, match="attempting to grant"):
        await ada.update(kinds.ROLE_BINDINGS, {**present, "subjects": [BOB, ADA]})
    labelled = {**present["metadata"], "labels": {"a": "b"}}
    await ada.update(kinds.ROLE_BINDINGS, {**present, "metadata": labelled})


async def test_who_may_escalate(cluster: Any, ada: Client) -> None:
    await cluster.role("escalator", rule("escalate", "roles", GROUP, "r"))
    await cluster.bind("escalator", "escalator", ADA)
    await ada.create(kinds.ROLES, role("r", rule("*", "*", "*")))
    with pytest.raises(errors.ForbiddenError, match="attempting to grant"):
        await ada.create(kinds.ROLES, role("s", rule("*", "*", "*")))


async def test_who_may_bind(cluster: Any, ada: Client) -> None:
    await cluster.role("binder", rule("bind", "clusterroles", GROUP, "edit"))
    await cluster.bind("binder", "binder", ADA)
    await ada.create(kinds.ROLE_BINDINGS, binding("b", "ClusterRole", "edit"))
    with pytest.raises(errors.ForbiddenError, match="attempting to grant"):
        await ada.create(kinds.ROLE_BINDINGS, binding("c", "ClusterRole", "admin"))
    body = binding("d", "ClusterRole", "edit", namespace="other")
    with pytest.raises(errors.ForbiddenError, match="attempting to grant"):
        await ada.create(kinds.ROLE_BINDINGS, body)


async def test_aggregation_is_for_administrators(cluster: Any, ada: Client) -> None:
    body = role("all", namespace="")
    body["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {"x": "y"}}]}
    with pytest.raises(errors.ForbiddenError, match="cluster-admin privileges"):
        await ada.create(kinds.CLUSTER_ROLES, body)
    await cluster.client.create(kinds.CLUSTER_ROLES, body)
    with pytest.raises(errors.ForbiddenError, match="cluster-admin privileges"):
        await ada.patch(kinds.CLUSTER_ROLES, "all", {"aggregationRule": None})
    await cluster.bind("root", "cluster-admin", ADA, kind="ClusterRole", namespace="")
    await ada.patch(kinds.CLUSTER_ROLES, "all", {"aggregationRule": None})


async def test_an_admin_of_a_namespace_shares_it(cluster: Any) -> None:
    await cluster.bind("mine", "admin", ADA, kind="ClusterRole")
    ada = cluster.as_user("ada")
    for name in ("view", "edit", "admin"):
        await ada.create(kinds.ROLE_BINDINGS, binding(name, "ClusterRole", name))
    with pytest.raises(errors.ForbiddenError):
        await ada.create(kinds.ROLE_BINDINGS, binding("x", "ClusterRole", "cluster-admin"))


async def test_a_dry_run_is_checked_too(ada: Client) -> None:
    with pytest.raises(errors.ForbiddenError, match="attempting to grant"):
        await ada.create(kinds.ROLES, role("r", rule("get", "secrets")), dry_run=True)


async def test_rules_that_stand_for_billions_are_not_counted_out(ada: Client) -> None:
    many = [f"r{number}" for number in range(3000)]
    huge: Object = {
        "verbs": many,
        "apiGroups": many,
        "resources": many,
        "resourceNames": many,
    }
    with pytest.raises(errors.ForbiddenError, match="divide the role"):
        await ada.create(kinds.ROLES, role("r", huge))


def some(*values: str) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(values), min_size=1, max_size=2)


rules = st.one_of(
    st.builds(
        Rule,
        some("get", "list", "*"),
        some("", "apps", "*"),
        some("pods", "pods/log", "*/log", "*"),
        st.one_of(st.just(frozenset[str]()), some("x", "y")),
        st.just(()),
    ),
    st.builds(
        Rule,
        some("get", "*"),
        st.just(frozenset[str]()),
        st.just(frozenset[str]()),
        st.just(frozenset[str]()),
        st.lists(st.sampled_from(["/a", "/a/b", "/a*", "*"]), min_size=1, max_size=2).map(tuple),
    ),
)
NOBODY = User("nobody")
ASKED = [
    Attributes(NOBODY, verb, group=group, resource=resource, subresource=subresource, name=name)
    for verb, group, resource, subresource, name in itertools.product(
        ("get", "list", "watch"),
        ("", "apps", "z"),
        ("pods", "q"),
        ("", "log", "w"),
        ("", "x", "y", "z"),
    )
] + [
    Attributes(NOBODY, verb, path=path)
    for verb, path in itertools.product(("get", "put"), ("/a", "/a/b", "/ab", "/c"))
]


@given(st.lists(rules, max_size=4), st.lists(rules, max_size=3))
@settings(deadline=None)
def test_what_is_covered_grants_nothing_new(owned: list[Rule], wanted: list[Rule]) -> None:
    if rule_cover.uncovered(owned, wanted):
        return
    for asked in ASKED:
        if any(each.allows(asked) for each in wanted):
            assert any(each.allows(asked) for each in owned), asked


@given(st.lists(rules, max_size=4))
def test_everybody_covers_their_own(owned: list[Rule]) -> None:
    assert rule_cover.uncovered(owned, owned) == []


@given(st.lists(rules, max_size=3))
def test_administrators_cover_everything(wanted: list[Rule]) -> None:
    every = Rule.compile({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
    paths = Rule.compile({"verbs": ["*"], "nonResourceURLs": ["*"]})
    assert rule_cover.uncovered([every, paths], wanted) == []
    assert rule_cover.holds_everything([every, paths])
    assert not rule_cover.holds_everything([every])

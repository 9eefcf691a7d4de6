"""Being somebody else, by those who may."""

from typing import Any

import pytest

from wherry.apiserver import certificates
from wherry.apiserver.certificates import KeyPair
from wherry.embedded.identity import utc_now
from wherry.objects import kinds
from wherry.objects.requests import Object

SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
ADA: Object = {"kind": "User", "apiGroup": kinds.ROLES.group, "name": "ada"}


@pytest.fixture
def ada(cluster: Any) -> KeyPair:
    return certificates.issue_client(cluster.identity.pki.authority, "ada", (), now=utc_now())


def rule(resources: str, group: str = "", *names: str) -> Object:
    found: Object = {
        "verbs": ["impersonate"],
        "apiGroups": [group],
        "resources": resources.split(),
    }
    return found | ({"resourceNames": list(names)} if names else {})


async def whoami(cluster: Any, certificate: KeyPair, *headers: tuple[str, str]) -> Any:
    return await cluster.request("POST", SELF, REVIEW, certificate=certificate, headers=[*headers])


async def test_the_administrator_may_be_anybody(cluster: Any) -> None:
    answer = await whoami(
        cluster,
        cluster.identity.pki.admin,
        ("Impersonate-User", "bob"),
        ("Impersonate-Group", "devs"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Uid", "u-1"),
        ("Impersonate-Extra-Scopes", "view"),
        ("Impersonate-Extra-Scopes", "edit"),
        ("Impersonate-Extra-Acme.com%2Fproject", "x"),
    )
    assert answer.body["status"]["userInfo"] == {
        "username": "bob",
        "uid": "u-1",
        "groups": ["devs", "ops", "system:authenticated"],
        "extra": {"scopes": ["view", "edit"], "acme.com/project": ["x"]},
    }


@pytest.mark.parametrize(
    ("headers", "groups"),
    [
        ([("Impersonate-User", "bob")], ["system:authenticated"]),
        (
            [("Impersonate-User", "system:serviceaccount:other:robot")],
            ["system:serviceaccounts", "system:serviceaccounts:other", "system:authenticated"],
        ),
        (
            [
                ("Impersonate-User", "system:serviceaccount:other:robot"),
                ("Impersonate-Group", "devs"),
            ],
            ["devs", "system:authenticated"],
        ),
        ([("Impersonate-User", "system:anonymous")], ["system:unauthenticated"]),
        (
            [("Impersonate-User", "bob"), ("Impersonate-Group", "system:unauthenticated")],
            ["system:unauthenticated"],
        ),
    ],
)
async def test_groups_that_go_without_saying(
    cluster: Any, headers: list[tuple[str, str]], groups: list[str]
) -> None:
    await cluster.bind(
        "who", "system:basic-user", {**ADA, "kind": "Group", "name": "system:unauthenticated"},
        kind="ClusterRole", namespace="",
    )  # fmt: skip
    answer = await whoami(cluster, cluster.identity.pki.admin, *headers)
    assert answer.body["status"]["userInfo"]["groups"] == groups


async def test_the_rights_are_the_others(cluster: Any) -> None:
    answer = await cluster.request(
        "GET",
        "/api/v1/secrets",
        certificate=cluster.identity.pki.admin,
        headers={"Impersonate-User": "bob"},
    )
    assert (answer.code, answer.message) == (
        403,
        'secrets is forbidden: User "bob" cannot list resource "secrets" in API group "" '
        "at the cluster scope",
    )


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (
            [("Impersonate-User", "bob")],
            'users "bob" is forbidden: User "ada" cannot impersonate resource "users" '
            'in API group "" at the cluster scope',
        ),
        (
            [("Impersonate-User", "system:serviceaccount:other:robot")],
            'serviceaccounts "robot" is forbidden: User "ada" cannot impersonate resource '
            '"serviceaccounts" in API group "" in the namespace "other"',
        ),
        (
            [("Impersonate-User", "system:serviceaccount:Other:robot")],
            'users "system:serviceaccount:Other:robot" is forbidden: User "ada" cannot impersonate '
            'resource "users" in API group "" at the cluster scope',
        ),
        (
            [("Impersonate-User", "carol"), ("Impersonate-Group", "system:masters")],
            'groups "system:masters" is forbidden: User "ada" cannot impersonate resource "groups" '
            'in API group "" at the cluster scope',
        ),
        (
            [("Impersonate-User", "carol"), ("Impersonate-Uid", "u")],
            'uids.authentication.k8s.io "u" is forbidden: User "ada" cannot impersonate resource '
            '"uids" in API group "authentication.k8s.io" at the cluster scope',
        ),
        (
            [("Impersonate-User", "carol"), ("Impersonate-Extra-Scopes", "edit")],
            'userextras.authentication.k8s.io "edit" is forbidden: User "ada" cannot impersonate '
            'resource "userextras/scopes" in API group "authentication.k8s.io" at the cluster scope',
        ),
    ],
)
async def test_each_part_needs_its_right(
    cluster: Any, ada: KeyPair, headers: list[tuple[str, str]], said: str
) -> None:
    await cluster.role("r", rule("users", "", "carol"), namespace="")
    await cluster.bind("b", "r", ADA, kind="ClusterRole", namespace="")
    answer = await whoami(cluster, ada, *headers)
    assert (answer.code, answer.message) == (403, said)


async def test_those_who_may(cluster: Any, ada: KeyPair) -> None:
    await cluster.role(
        "r",
        rule("users", "", "carol"),
        rule("groups", "", "devs"),
        rule("uids userextras/scopes", "authentication.k8s.io", "u", "view"),
        namespace="",
    )
    await cluster.bind("b", "r", ADA, kind="ClusterRole", namespace="")
    answer = await whoami(
        cluster,
        ada,
        ("Impersonate-User", "carol"),
        ("Impersonate-Group", "devs"),
        ("Impersonate-Uid", "u"),
        ("Impersonate-Extra-Scopes", "view"),
    )
    assert answer.code == 201
    assert answer.body["status"]["userInfo"]["username"] == "carol"


async def test_accounts_of_a_namespace(cluster: Any, ada: KeyPair) -> None:
    await cluster.role("r", rule("serviceaccounts"))
    await cluster.bind("b", "r", ADA)
    mine = ("Impersonate-User", "system:serviceaccount:default:robot")
    theirs = ("Impersonate-User", "system:serviceaccount:other:robot")
    assert (await whoami(cluster, ada, mine)).code == 201
    assert (await whoami(cluster, ada, theirs)).code == 403


async def test_parts_without_a_user(cluster: Any) -> None:
    for name in ("Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-Scopes"):
        answer = await whoami(cluster, cluster.identity.pki.admin, (name, "x"))
        assert answer.code == 400, name


async def test_nobody_may_not(cluster: Any) -> None:
    answer = await cluster.request(
        "GET", "/api/v1/secrets", headers={"Impersonate-User": "kubernetes-admin"}
    )
    assert answer.code == 403
    assert 'User "system:anonymous" cannot impersonate' in answer.message

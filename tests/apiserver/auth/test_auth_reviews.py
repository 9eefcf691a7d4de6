"""Access reviews, token reviews and token requests."""

import datetime
import json
from typing import Any

import jwt
import pytest

from wherry.client.client import Client
from wherry.objects import errors, kinds
from wherry.objects.requests import Object

RULES: Object = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "pods/log"]}
ADA: Object = {"kind": "User", "apiGroup": kinds.ROLES.group, "name": "ada"}


async def may(client: Client, **attributes: str) -> Any:
    body = {"spec": {"resourceAttributes": attributes}}
    made = await client.create(kinds.SELF_SUBJECT_ACCESS_REVIEWS, body)
    return made["status"]


async def test_self_access_reviews(cluster: Any) -> None:
    await cluster.role("r", RULES)
    await cluster.bind("b", "r", ADA)
    ada = cluster.as_user("ada")
    assert await may(ada, verb="get", resource="pods", namespace="default") == {
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "b/default" of Role "r" to User "ada"',
    }
    assert (await may(ada, verb="get", resource="pods", subresource="log", namespace="default"))[
        "allowed"
    ]
    assert await may(ada, verb="get", resource="pods", namespace="other") == {"allowed": False}
    assert await may(ada, verb="list", resource="pods", namespace="default") == {"allowed": False}
    assert not (await may(ada, verb="*", resource="*", namespace="default"))["allowed"]
    assert (await may(cluster.client, verb="*", resource="*", group="*"))["allowed"]


async def test_reviews_of_others_are_for_those_who_may(cluster: Any) -> None:
    await cluster.role("r", RULES)
    await cluster.bind("b", "r", ADA)
    spec = {
        "user": "ada",
        "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"},
    }
    with pytest.raises(errors.ForbiddenError):
        await cluster.as_user("bob").create(kinds.SUBJECT_ACCESS_REVIEWS, {"spec": spec})
    await cluster.bind(
        "d", "system:auth-delegator", {**ADA, "name": "bob"}, kind="ClusterRole", namespace=""
    )
    bob = cluster.as_user("bob")
    made = await bob.create(kinds.SUBJECT_ACCESS_REVIEWS, {"spec": spec})
    assert made["status"]["allowed"] is True
    groups = {**spec, "user": "x", "groups": ["system:masters"]}
    made = await bob.create(kinds.SUBJECT_ACCESS_REVIEWS, {"spec": groups})
    assert made["status"]["allowed"] is True


async def test_non_resource_reviews(cluster: Any) -> None:
    for path, allowed in (("/version", True), ("/metrics", False), ("/api/v1", True)):
        body = {"spec": {"nonResourceAttributes": {"verb": "get", "path": path}}}
        made = await cluster.as_user("ada").create(kinds.SELF_SUBJECT_ACCESS_REVIEWS, body)
        assert made["status"]["allowed"] is allowed, path


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"user": "ada"},
        {"resourceAttributes": {"verb": "get", "resource": "pods"}},
        {
            "user": "ada",
            "resourceAttributes": {"verb": "get"},
            "nonResourceAttributes": {"verb": "get", "path": "/"},
        },
    ],
)
async def test_reviews_that_ask_nothing(cluster: Any, spec: Object) -> None:
    with pytest.raises(errors.InvalidError):
        await cluster.client.create(kinds.SUBJECT_ACCESS_REVIEWS, {"spec": spec})


async def test_a_local_review_is_about_its_namespace_only(cluster: Any) -> None:
    rule = {
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["localsubjectaccessreviews"],
    }
    await cluster.role("asker", rule)
    await cluster.bind("asker", "asker", ADA)
    ada = cluster.as_user("ada")

    async def asked(**spec: Any) -> Object:
        body = {"metadata": {"namespace": "default"}, "spec": {"user": "ada", **spec}}
        made: Object = await ada.create(kinds.LOCAL_SUBJECT_ACCESS_REVIEWS, body)
        return made

    attributes = {"verb": "get", "resource": "secrets", "namespace": "default"}
    assert (await asked(resourceAttributes=attributes))["status"] == {"allowed": False}
    for other in ("other", ""):
        with pytest.raises(errors.InvalidError, match=r"must match metadata\.namespace"):
            await asked(resourceAttributes={**attributes, "namespace": other})
    with pytest.raises(errors.InvalidError, match="nonResourceAttributes"):
        await asked(nonResourceAttributes={"verb": "get", "path": "/metrics"})


async def test_rules_reviews(cluster: Any) -> None:
    await cluster.role("r", {**RULES, "resourceNames": ["x"]})
    await cluster.bind("b", "r", ADA)
    body = {"spec": {"namespace": "default"}}
    made = await cluster.as_user("ada").create(kinds.SELF_SUBJECT_RULES_REVIEWS, body)
    status = made["status"]
    assert status["incomplete"] is False
    assert {
        "verbs": ["get"],
        "apiGroups": [""],
        "resources": ["pods", "pods/log"],
        "resourceNames": ["x"],
    } in status["resourceRules"]
    assert any("/healthz" in each["nonResourceURLs"] for each in status["nonResourceRules"])
    with pytest.raises(errors.BadRequestError, match=r"spec\.namespace"):
        await cluster.client.create(kinds.SELF_SUBJECT_RULES_REVIEWS, {"spec": {}})


async def review(cluster: Any, token: str, **spec: Any) -> Any:
    body = {"spec": {"token": token, **spec}}
    made = await cluster.client.create(kinds.TOKEN_REVIEWS, body)
    assert token not in json.dumps(made)
    return made["status"]


async def test_token_reviews(cluster: Any) -> None:
    made = await cluster.account("robot")
    token = await cluster.token("robot")
    status = await review(cluster, token)
    assert status["authenticated"] is True
    assert status["user"]["username"] == "system:serviceaccount:default:robot"
    assert status["user"]["uid"] == made["metadata"]["uid"]
    assert status["audiences"] == [cluster.identity.signer.issuer]
    status = await review(cluster, token + "x")
    assert status["authenticated"] is False
    assert status["error"]


async def test_a_review_tells_only_audiences_that_the_token_is_for(cluster: Any) -> None:
    await cluster.account("robot")
    token = await cluster.token("robot", audiences=["vault", "istio"])
    assert (await review(cluster, token, audiences=["other", "vault"]))["audiences"] == ["vault"]
    for audiences in ({}, {"audiences": ["other"]}):
        assert (await review(cluster, token, **audiences))["authenticated"] is False
    assert (await cluster.request("GET", "/version", token=token)).code == 401


async def test_a_deleted_account_ends_its_tokens_and_a_new_one_does_not_revive_them(
    cluster: Any,
) -> None:
    await cluster.account("robot")
    token = await cluster.token("robot")
    assert (await cluster.request("GET", "/version", token=token)).code == 200
    await cluster.client.delete(kinds.SERVICE_ACCOUNTS, "robot", "default")
    assert (await cluster.request("GET", "/version", token=token)).code == 401
    await cluster.account("robot")
    assert (await cluster.request("GET", "/version", token=token)).code == 401


async def test_a_token_bound_to_a_secret_ends_with_it(cluster: Any) -> None:
    await cluster.account("robot")
    body = {"metadata": {"name": "s", "namespace": "default"}}
    secret = await cluster.client.create(kinds.SECRETS, body)
    reference = {"apiVersion": "v1", "kind": "Secret", "name": "s"}
    token = await cluster.token("robot", boundObjectRef=reference)
    assert (await cluster.request("GET", "/version", token=token)).code == 200
    await cluster.client.delete(kinds.SECRETS, "s", "default")
    assert (await cluster.request("GET", "/version", token=token)).code == 401
    await cluster.client.create(kinds.SECRETS, body)
    assert (await cluster.request("GET", "/version", token=token)).code == 401
    reference["uid"] = secret["metadata"]["uid"]
    with pytest.raises(errors.ConflictError, match="does not match the UID in record"):
        await cluster.token("robot", boundObjectRef=reference)


async def test_lifetimes(cluster: Any) -> None:
    await cluster.account("robot")
    body = {"metadata": {"namespace": "default"}, "spec": {"expirationSeconds": 600}}
    made = await cluster.client.create(
        kinds.SERVICE_ACCOUNTS, body, name="robot", subresource="token"
    )
    claims = jwt.decode(made["status"]["token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 600
    ends = datetime.datetime.fromisoformat(made["status"]["expirationTimestamp"])
    assert ends.timestamp() == claims["exp"]
    assert made["spec"]["audiences"] == [cluster.identity.signer.issuer]
    for wrong in (599, 0, -1, 2**32 + 1, 10**30):
        with pytest.raises((errors.InvalidError, errors.BadRequestError)):
            await cluster.token("robot", expirationSeconds=wrong)


@pytest.mark.parametrize(
    "spec",
    [
        "text",
        [],
        {"expirationSeconds": "600"},
        {"expirationSeconds": True},
        {"expirationSeconds": 600.5},
        {"audiences": "vault"},
        {"audiences": [7]},
        {"audiences": [""]},
        {"audiences": ["x" * 257]},
        {"audiences": ["x"] * 17},
        {"boundObjectRef": "p"},
        {"boundObjectRef": {"kind": "Deployment", "name": "d"}},
        {"boundObjectRef": {"kind": ["Pod"], "name": "d"}},
        {"boundObjectRef": {"kind": "Pod", "apiVersion": "v2", "name": "d"}},
        {"boundObjectRef": {"kind": "Pod"}},
        {"boundObjectRef": {"kind": "Pod", "name": 7}},
        {"boundObjectRef": {"kind": "Pod", "name": "missing"}},
    ],
)
async def test_requests_that_are_not_good(cluster: Any, spec: Any) -> None:
    await cluster.account("robot")
    path = "/api/v1/namespaces/default/serviceaccounts/robot/token"
    admin = cluster.identity.pki.admin
    answer = await cluster.request("POST", path, {"spec": spec}, certificate=admin)
    assert answer.code in ({404} if "missing" in str(spec) else {400, 422}), answer.body
    assert "token" not in (
        answer.body.get("status") if isinstance(answer.body["status"], dict) else ""
    )


async def test_requests_for_accounts_that_are_not_there(cluster: Any) -> None:
    with pytest.raises(errors.NotFoundError, match='serviceaccounts "ghost" not found'):
        await cluster.token("ghost")


async def test_tokens_are_for_those_who_may(cluster: Any) -> None:
    await cluster.account("robot")
    body = {"metadata": {"namespace": "default"}, "spec": {}}
    with pytest.raises(errors.ForbiddenError, match="serviceaccounts/token"):
        await cluster.as_user("ada").create(
            kinds.SERVICE_ACCOUNTS, body, name="robot", subresource="token"
        )

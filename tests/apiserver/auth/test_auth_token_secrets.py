"""Tokens in Secrets: filled, given, listed, and ended."""

import base64
from typing import Any

import jwt
import pytest

from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

TYPE = "kubernetes.io/service-account-token"
NAME = "kubernetes.io/service-account.name"
UID = "kubernetes.io/service-account.uid"


def secret(name: str, account: str, **annotations: str) -> Object:
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "annotations": {NAME: account, **annotations},
        },
        "type": TYPE,
    }


async def filled(cluster: Any, until: Any, name: str) -> Object:
    async def token() -> Object | None:
        found: Object = await cluster.client.get(kinds.SECRETS, name, "default")
        return found if (found.get("data") or {}).get("token") else None

    found: Object = await until(token)
    return found


def text(obj: Object, key: str) -> str:
    return base64.b64decode(obj["data"][key]).decode()


async def gone(cluster: Any, name: str) -> bool:
    try:
        await cluster.client.get(kinds.SECRETS, name, "default")
    except errors.NotFoundError:
        return True
    return False


async def whoami(cluster: Any, token: str) -> int:
    return int((await cluster.request("GET", "/version", token=token)).code)


async def test_a_secret_is_filled(managed: Any, until: Any) -> None:
    account = await managed.account("robot")
    await managed.client.create(kinds.SECRETS, secret("mine", "robot"))
    found = await filled(managed, until, "mine")
    assert text(found, "ca.crt") == managed.identity.pki.authority.certificate.decode()
    assert text(found, "namespace") == "default"
    assert metadata.annotations(found)[UID] == metadata.uid(account)
    token = text(found, "token")
    assert await whoami(managed, token) == 200
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims == {
        "iss": "kubernetes/serviceaccount",
        "sub": "system:serviceaccount:default:robot",
        "kubernetes.io/serviceaccount/namespace": "default",
        "kubernetes.io/serviceaccount/secret.name": "mine",
        "kubernetes.io/serviceaccount/service-account.name": "robot",
        "kubernetes.io/serviceaccount/service-account.uid": metadata.uid(account),
    }


async def test_deleting_the_secret_ends_its_token(managed: Any, until: Any) -> None:
    await managed.account("robot")
    await managed.client.create(kinds.SECRETS, secret("mine", "robot"))
    token = text(await filled(managed, until, "mine"), "token")
    assert await whoami(managed, token) == 200
    await managed.client.delete(kinds.SECRETS, "mine", "default")
    assert await whoami(managed, token) == 401
    await managed.client.create(kinds.SECRETS, secret("mine", "robot"))
    other = text(await filled(managed, until, "mine"), "token")
    assert (await whoami(managed, token), await whoami(managed, other)) == (401, 200)


async def test_deleting_the_account_ends_its_tokens_and_deletes_its_secrets(
    managed: Any, until: Any
) -> None:
    await managed.account("robot")
    await managed.client.create(kinds.SECRETS, secret("mine", "robot"))
    token = text(await filled(managed, until, "mine"), "token")
    await managed.client.delete(kinds.SERVICE_ACCOUNTS, "robot", "default")
    assert await whoami(managed, token) == 401
    await until(lambda: gone(managed, "mine"))
    await managed.account("robot")
    assert await whoami(managed, token) == 401


async def test_a_secret_of_an_account_that_is_not_there(managed: Any, until: Any) -> None:
    await managed.client.create(kinds.SECRETS, secret("mine", "ghost"))
    await until(lambda: gone(managed, "mine"))


async def test_a_secret_of_an_account_that_was_another(managed: Any, until: Any) -> None:
    await managed.account("robot")
    await managed.client.create(kinds.SECRETS, secret("mine", "robot", **{UID: "old"}))
    await until(lambda: gone(managed, "mine"))


async def test_a_removed_token_is_replaced_and_the_old_one_ends(managed: Any, until: Any) -> None:
    await managed.account("robot")
    await managed.client.create(kinds.SECRETS, secret("mine", "robot"))
    token = text(await filled(managed, until, "mine"), "token")
    patch = {"data": {"token": None, "ca.crt": "bm8=", "namespace": None}}
    await managed.client.patch(kinds.SECRETS, "mine", patch, "default")
    found = await filled(managed, until, "mine")
    assert text(found, "ca.crt") == managed.identity.pki.authority.certificate.decode()
    assert text(found, "namespace") == "default"
    assert (await whoami(managed, token), await whoami(managed, text(found, "token"))) == (401, 200)


async def test_a_token_put_into_another_secret_is_not_good(managed: Any, until: Any) -> None:
    await managed.account("robot")
    await managed.client.create(kinds.SECRETS, secret("mine", "robot"))
    found = await filled(managed, until, "mine")
    await managed.client.delete(kinds.SECRETS, "mine", "default")
    # An Opaque Secret of the same name and content is no token Secret.
    copied = {"metadata": {"name": "mine", "namespace": "default"}, "data": found["data"]}
    await managed.client.create(kinds.SECRETS, copied)
    assert await whoami(managed, text(found, "token")) == 401


async def listed(cluster: Any, until: Any, name: str, count: int = 1) -> list[str]:
    async def secrets() -> list[str] | None:
        account = await cluster.client.get(kinds.SERVICE_ACCOUNTS, name, "default")
        names = [each["name"] for each in account.get("secrets") or ()]
        return names if len(names) == count else None

    found: list[str] = await until(secrets)
    return found


@pytest.mark.parametrize("name", ["default", "default-editor", "default-viewer"])
async def test_accounts_that_guides_read_are_given_one(managed: Any, until: Any, name: str) -> None:
    await managed.account(name)
    (found,) = await listed(managed, until, name)
    prefix, _, suffix = found.rpartition("-")
    assert prefix == f"{name}-token"
    assert len(suffix) == 5
    token = text(await filled(managed, until, found), "token")
    assert await whoami(managed, token) == 200


async def test_others_are_given_one_on_request(managed: Any, until: Any) -> None:
    await managed.account("plain")
    body = {
        "metadata": {
            "name": "asked",
            "namespace": "default",
            "annotations": {"wherry.dev/token-secret": "true"},
        }
    }
    await managed.client.create(kinds.SERVICE_ACCOUNTS, body)
    body = {
        "metadata": {
            "name": "default",
            "namespace": "default",
            "annotations": {"wherry.dev/token-secret": "false"},
        }
    }
    await managed.client.create(kinds.SERVICE_ACCOUNTS, body)
    await listed(managed, until, "asked")
    for name in ("plain", "default"):
        account = await managed.client.get(kinds.SERVICE_ACCOUNTS, name, "default")
        assert not account.get("secrets")


async def test_a_deleted_secret_is_given_again(managed: Any, until: Any) -> None:
    await managed.account("default")
    (name,) = await listed(managed, until, "default")
    token = text(await filled(managed, until, name), "token")
    await managed.client.delete(kinds.SECRETS, name, "default")

    async def renewed() -> str | None:
        for each in (await managed.client.list(kinds.SECRETS, "default")).items:
            if each.get("type") == TYPE and (each.get("data") or {}).get("token"):
                return text(each, "token")
        return None

    fresh = await until(renewed)
    assert (await whoami(managed, token), await whoami(managed, fresh)) == (401, 200)
    assert len(await listed(managed, until, "default")) == 1


async def test_what_users_list_stays(managed: Any, until: Any) -> None:
    body = {
        "metadata": {"name": "default", "namespace": "default"},
        "secrets": [{"name": "dockercfg"}, {"name": "default-token-gone0"}],
    }
    await managed.client.create(kinds.SERVICE_ACCOUNTS, body)

    async def done() -> list[str] | None:
        account = await managed.client.get(kinds.SERVICE_ACCOUNTS, "default", "default")
        names = [each["name"] for each in account["secrets"]]
        return names if "default-token-gone0" not in names and len(names) == 2 else None

    names = await until(done)
    assert names[0] == "dockercfg"

"""The audit log: what is kept of whom, and that no secret ever is."""

import json
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from wherry.apiserver.audit.auditor import Auditor
from wherry.apiserver.audit.events import without_tokens
from wherry.apiserver.audit.log import AuditLog
from wherry.apiserver.audit.policy import Level, Policy, PolicyError, Subject
from wherry.apiserver.core import utc_now
from wherry.apiserver.identity import User
from wherry.apiserver.server import Extensions

MAPS = "/api/v1/namespaces/default/configmaps"
BOB = User("bob", groups=("team", "system:authenticated"))


def policy(*rules: dict[str, Any], **fields: Any) -> Policy:
    return Policy({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [*rules], **fields})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ({}, True),
        ({"users": ["bob"]}, True),
        ({"users": ["alice"]}, False),
        ({"userGroups": ["team"]}, True),
        ({"userGroups": ["other"]}, False),
        ({"verbs": ["get", "update"]}, True),
        ({"verbs": ["get"]}, False),
        ({"namespaces": ["default"]}, True),
        ({"namespaces": ["other"]}, False),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, False),
        ({"resources": [{"group": "", "resources": ["pods/status"]}]}, True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, True),
        ({"resources": [{"group": "", "resources": ["*/status"]}]}, True),
        ({"resources": [{"group": "", "resources": ["*"]}]}, True),
        ({"resources": [{"group": ""}]}, True),
        ({"resources": [{"group": "apps"}]}, False),
        ({"resources": [{"group": "", "resourceNames": ["web"]}]}, True),
        ({"resources": [{"group": "", "resourceNames": ["db"]}]}, False),
        ({"nonResourceURLs": ["/api*"]}, False),
    ],
)
def test_rules_match_as_upstream(rule, matches):
    place = {"group": "", "resource": "pods/status", "namespace": "default", "name": "web"}
    subject = Subject(BOB, "update", "/api/v1/…", **place)
    found = policy({"level": "Request", **rule}).decide(subject)
    assert (found.level is Level.REQUEST) is matches


def test_paths_and_the_first_rule_that_matches():
    rules = policy(
        {"level": "None", "nonResourceURLs": ["/healthz*"]},
        {"level": "Metadata", "omitStages": ["RequestReceived"], "omitManagedFields": True},
    )
    assert rules.decide(Subject(BOB, "get", "/healthz/ping")).level is Level.NONE
    found = rules.decide(Subject(BOB, "get", "/metrics"))
    assert (found.level, found.omit_managed_fields) == (Level.METADATA, True)
    assert found.omit_stages == {"RequestReceived"}


@pytest.mark.parametrize(
    ("group", "resource"),
    [
        ("", "secrets"),
        ("", "serviceaccounts/token"),
        ("authentication.k8s.io", "tokenreviews"),
    ],
)
def test_bodies_with_secrets_are_never_kept(group, resource):
    whole = policy({"level": "RequestResponse"})
    found = whole.decide(Subject(BOB, "create", "/", group=group, resource=resource))
    assert found.level is Level.METADATA


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "Other"}, "kind Policy"),
        ({"rules": []}, "rules"),
        ({"rules": [{"level": "All"}]}, "rules[0].level"),
        ({"rules": [{"level": "None", "omitStages": ["Late"]}]}, "rules[0].omitStages"),
        ({"rules": [{"level": "None", "users": "bob"}]}, "rules[0].users"),
        ({"rules": [{"level": "None", "nonResourceURLs": ["/"], "namespaces": ["a"]}]}, "rules[0].nonResourceURLs"),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_used_names_the_field(fields, field, tmp_path):
    path = tmp_path / "policy.yaml"
    whole = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "None"}]}
    path.write_text(json.dumps({**whole, **fields}))
    with pytest.raises(PolicyError, match=field.replace("[", r"\[").replace(".", r"\.")):
        Policy.load(path)


def test_the_log_is_rotated_by_size_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "logs" / "audit.log"
    log = AuditLog(path, max_bytes=1000, backups=2)
    for number in range(60):
        log.write({"number": number, "text": "x" * 80})
    log.close()
    names = sorted(each.name for each in path.parent.iterdir())
    assert names == ["audit.log", "audit.log.1", "audit.log.2"]
    assert all(each.stat().st_size <= 1000 for each in path.parent.iterdir())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert lines(path)[-1]["number"] == 59
    assert (log.written, log.dropped) == (60, 0)


def test_what_cannot_be_written_is_dropped_and_counted(tmp_path):
    path = tmp_path / "audit.log"
    os.mkfifo(path)
    # Nobody reads the pipe: the thread stands still as with a disk that does.
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = AuditLog(path)
    for _ in range(12_000):
        log.write({"text": "x" * 200})
    assert log.dropped > 1000
    assert f'apiserver_audit_error_total{{plugin="log"}} {log.dropped}' in list(log.metrics())
    os.close(reader)
    log.close()


def test_a_value_without_json_text_does_not_lose_the_event(tmp_path):
    path = tmp_path / "audit.log"
    log = AuditLog(path)
    log.write({"verb": "create", "requestObject": {"x": "\ud800"}})
    log.close()
    assert lines(path) == [{"verb": "create"}]


def test_tokens_in_urls_are_blotted_out():
    uri = "/api/v1/pods?watch=true&access_token=abc&x=1"
    assert without_tokens(uri) == "/api/v1/pods?watch=true&access_token=***&x=1"
    assert without_tokens("/api/v1/pods?limit=1") == "/api/v1/pods?limit=1"


@pytest.fixture
async def audited(store, server, tmp_path) -> AsyncIterator[Callable[..., Any]]:
    """Give what starts a second server that keeps an audit log, and then reads the log."""
    made = []

    async def start(*rules: dict[str, Any], **fields: Any) -> tuple[str, Callable[[], Any]]:
        log = AuditLog(tmp_path / "audit.log")
        extensions = Extensions(auditor=Auditor(log, policy(*rules, **fields), utc_now))
        parts = server._handler._parts
        one = type(server)(
            store,
            authenticator=parts.authenticator,
            authorizer=parts.authorizer,
            extensions=extensions,
        )
        await one.start()
        made.append(one)

        def read() -> list[dict[str, Any]]:
            log.close()
            return lines(log.path)

        return f"http://127.0.0.1:{one.port}", read

    yield start
    for one in made:
        await one.stop()


async def test_events_say_who_did_what(audited):
    url, read = await audited({"level": "RequestResponse"}, omitManagedFields=True)
    body = {"metadata": {"name": "a"}, "data": {"k": "v"}}
    async with aiohttp.ClientSession(url, headers={"X-Test-User": "bob"}) as client:
        async with client.post(MAPS, json=body) as response:
            assert response.status == 201
            audit_id = response.headers["Audit-Id"]
        async with client.get(f"{MAPS}/missing") as response:
            assert response.status == 404
    events = read()
    received, complete, *rest = events
    assert [received["stage"], complete["stage"]] == ["RequestReceived", "ResponseComplete"]
    assert complete["auditID"] == audit_id
    assert (complete["verb"], complete["user"]["username"]) == ("create", "bob")
    assert complete["objectRef"] == {
        "resource": "configmaps",
        "namespace": "default",
        "apiVersion": "v1",
    }
    assert complete["requestObject"] == body
    assert complete["responseObject"]["data"] == {"k": "v"}
    assert "managedFields" not in complete["responseObject"]["metadata"]
    assert complete["responseStatus"]["code"] == 201
    assert complete["sourceIPs"] == ["127.0.0.1"]
    assert rest[-1]["responseStatus"]["reason"] == "NotFound"
    assert all(each["apiVersion"] == "audit.k8s.io/v1" for each in events)


async def test_streams_are_told_when_they_begin_and_when_they_end(audited):
    url, read = await audited({"level": "Metadata", "omitStages": ["RequestReceived"]})
    path = f"{MAPS}?watch=true&timeoutSeconds=1"
    async with aiohttp.ClientSession(url) as client, client.get(path) as response:
        assert response.status == 200
        await response.read()
    events = [each for each in read() if each["verb"] == "watch"]
    assert [each["stage"] for each in events] == ["ResponseStarted", "ResponseComplete"]


async def test_a_refused_secret_is_not_quoted(audited):
    url, read = await audited({"level": "RequestResponse"})
    body = {"metadata": {"name": "s"}, "data": {"k": "needle!"}, "stringData": {"a": ["needle"]}}
    path = MAPS.replace("configmaps", "secrets")
    async with aiohttp.ClientSession(url) as client, client.post(path, json=body) as response:
        assert response.status >= 400
    text = json.dumps(read())
    assert "secrets" in text
    assert "needle" not in text

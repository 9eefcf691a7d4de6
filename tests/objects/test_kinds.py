"""The table of built-in resources."""

import pytest

from wherry.objects import kinds, openapi
from wherry.objects.resources import Resource


def test_every_row_is_unique():
    assert len({(row.group, row.version, row.plural) for row in kinds.BUILTIN}) == len(
        kinds.BUILTIN
    )
    assert len({(row.api_version, row.kind) for row in kinds.BUILTIN}) == len(kinds.BUILTIN)


def test_every_row_has_a_published_definition():
    for row in kinds.BUILTIN:
        assert openapi.definition_name(row.api_version, row.kind), row


def test_short_names_are_unique_within_a_group():
    names = [(row.group, row.version, name) for row in kinds.BUILTIN for name in row.short_names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", kinds.BUILTIN, ids=lambda row: f"{row.api_version}/{row.plural}")
def test_every_subresource_is_described(row: Resource):
    for name in row.subresources:
        assert kinds.subresource(row, name) is not None


@pytest.mark.parametrize(
    ("api_version", "kind", "key", "namespaced"),
    [
        ("v1", "Pod", "pods", True),
        ("v1", "Node", "nodes", False),
        ("apps/v1", "Deployment", "deployments.apps", True),
        ("rbac.authorization.k8s.io/v1", "Role", "roles.rbac.authorization.k8s.io", True),
        ("events.k8s.io/v1", "Event", "events.events.k8s.io", True),
    ],
)
def test_by_kind(api_version: str, kind: str, key: str, namespaced: bool):
    row = kinds.by_kind(api_version, kind)
    assert row is not None
    assert (row.key, row.namespaced) == (key, namespaced)


def test_unknown_kinds_and_keys_are_none():
    assert kinds.by_kind("v1", "Deployment") is None
    assert kinds.by_key("deployments") is None


def test_the_preferred_version_answers_to_the_key():
    assert kinds.by_key("horizontalpodautoscalers.autoscaling") == kinds.HORIZONTAL_POD_AUTOSCALERS
    assert kinds.HORIZONTAL_POD_AUTOSCALERS.version == "v2"


def test_two_names_share_one_storage():
    assert kinds.stored_as(kinds.EVENTS_K8S_IO) is kinds.EVENTS
    assert kinds.stored_as(kinds.PODS) is kinds.PODS


def test_subresources_answer_with_kinds_of_other_groups():
    scale = kinds.subresource(kinds.DEPLOYMENTS, "scale")
    token = kinds.subresource(kinds.SERVICE_ACCOUNTS, "token")
    assert scale is not None
    assert token is not None
    assert (scale.group, scale.version, scale.kind) == ("autoscaling", "v1", "Scale")
    assert (token.group, token.kind, token.verbs) == (
        "authentication.k8s.io",
        "TokenRequest",
        ("create",),
    )
    assert kinds.subresource(kinds.CONFIG_MAPS, "status") is None

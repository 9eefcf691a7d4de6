"""What people may do with the products' kinds by the roles that they have in a namespace."""

import pytest

from wherry import components
from wherry.objects import kinds
from wherry.testing.waiting import eventually

COMPONENTS = components.ALL


@pytest.mark.parametrize(
    ("role", "verb", "allowed"),
    [("edit", "create", True), ("view", "list", True), ("view", "create", False)],
)
def test_editors_and_viewers_may_use_all_kinds(shared_platform, role, verb, allowed):
    user = f"{role}-{verb}"
    binding = {
        "metadata": {"name": user, "namespace": "default"},
        "subjects": [{"apiGroup": kinds.CLUSTER_ROLES.group, "kind": "User", "name": user}],
        "roleRef": {"apiGroup": kinds.CLUSTER_ROLES.group, "kind": "ClusterRole", "name": role},
    }
    shared_platform.call(shared_platform.client.create(kinds.ROLE_BINDINGS, binding))
    namespaced = [
        kind.resource
        for component in COMPONENTS
        for kind in component.kinds
        if kind.resource.namespaced
    ]
    assert namespaced
    for resource in namespaced:
        told = {
            "user": user,
            "resourceAttributes": {
                "namespace": "default",
                "group": resource.group,
                "resource": resource.plural,
                "verb": verb,
            },
        }

        def answer(told=told):
            review = {"spec": told}
            made = shared_platform.client.create(kinds.SUBJECT_ACCESS_REVIEWS, review)
            return shared_platform.call(made)["status"]["allowed"] is allowed

        assert eventually(answer)

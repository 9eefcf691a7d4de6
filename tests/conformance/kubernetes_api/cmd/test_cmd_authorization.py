"""Who may do what, and acting as another."""

import functools
import json

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

REVIEW = {
    "apiVersion": "authorization.k8s.io/v1",
    "kind": "SubjectAccessReview",
    "spec": {
        "user": "somebody",
        "groups": ["system:masters"],
        "resourceAttributes": {"group": "autoscaling", "verb": "get", "resource": "pods"},
    },
}


@case(name="authorization: run_authorization_tests")
def test_authorization(cmd):
    review = cmd.file("review.json", json.dumps(REVIEW))
    said = cmd("create", "-f", review, "--validate=false")
    assert "subjectaccessreview.authorization.k8s.io/" in said
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert '"allowed":true' in cmd("create", "--raw", path, "-f", review).replace(" ", "")


def acting(cmd, request_file, *flags):
    """Make a request for a certificate as another; return what the server wrote of the asker."""
    cmd("create", "-f", request_file, "--as=user1", *flags)
    spec = cmd.get(f"csr/{cmd.namespace}")["spec"]
    cmd("delete", "-f", request_file)
    assert spec["username"] == "user1"
    return spec


@case(name="authorization: run_impersonation_tests")
def test_impersonation(cmd, request_file):
    for flag in ("--as-group=foo", "--as-uid=abc123"):
        assert "without impersonating a user" in cmd.fails("get", "pods", flag)
    # Whom it is that acts has to be allowed to ask.
    binding = ("clusterrolebinding", f"{cmd.namespace}-asker")
    cmd("create", *binding, "--clusterrole=cluster-admin", "--user=user1")
    try:
        assert acting(cmd, request_file)["groups"] == ["system:authenticated"]
        names = ["group2", "group1", ",,,chameleon"]
        groups = acting(cmd, request_file, *(f"--as-group={name}" for name in names))["groups"]
        assert groups == [*names, "system:authenticated"]
        assert acting(cmd, request_file, "--as-uid=abc123")["uid"] == "abc123"
        values = ["hello there", "one,two", "pandas are", "the best"]
        extra = [f"--as-user-extra=key1={value}" for value in values]
        flags = ("--as-uid=abc123", *extra, "--as-user-extra=key2=val3")
        assert acting(cmd, request_file, *flags)["extra"] == {"key1": values, "key2": ["val3"]}
    finally:
        cmd("delete", *binding)

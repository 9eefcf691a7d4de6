"""`kubectl auth whoami`."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")


@case(name="auth_whoami: run_kubectl_auth_whoami_tests")
def test_auth_whoami(cmd):
    assert '"kind": "SelfSubjectReview"' in cmd("auth", "whoami", "-o", "json")
    assert "kind: SelfSubjectReview" in cmd("auth", "whoami", "-o", "yaml")
    said = cmd("auth", "whoami")
    assert "Username" in said
    assert "system:masters" in said

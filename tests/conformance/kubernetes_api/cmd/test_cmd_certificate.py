"""Requests for certificates, approved and denied."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

TYPES = "{{range .status.conditions}}{{.type}}{{end}}"


@case(name="certificate: run_certificates_tests")
def test_certificates(cmd, request_file):
    csr = f"csr/{cmd.namespace}"
    for verb, outcome in (("approve", "Approved"), ("deny", "Denied")):
        for which in ((cmd.namespace,), ("-f", request_file)):
            cmd("create", "-f", request_file)
            cmd.shows(csr, TYPES, "")
            cmd("certificate", verb, *which)
            assert cmd.namespace in cmd("get", "csr", "-o", "json")
            cmd.shows(csr, TYPES, outcome)
            cmd("delete", "-f", request_file)
            cmd.has_not("csr", cmd.namespace)

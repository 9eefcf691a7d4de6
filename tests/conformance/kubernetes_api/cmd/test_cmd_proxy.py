"""`kubectl proxy`: what it lets through, and below which path."""

import contextlib
import functools
import re
import urllib.error
import urllib.request

import pytest

from wherry.testing.waiting import eventually

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")


@contextlib.contextmanager
def proxy(cmd, *flags):
    """Run a proxy on a free port; give what returns the status of a path."""
    with cmd.follow("proxy", "--port=0", "--www=.", *flags) as following:
        following.sees("Starting to serve on")
        (port,) = re.findall(r"127\.0\.0\.1:(\d+)", following.read())

        def status(path):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=90) as got:
                    return got.status
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        eventually(lambda: status(f"{flags[0].split('=')[1] if flags else ''}/healthz") == 200)
        yield status


@case(name="proxy: run_kubectl_local_proxy_tests")
def test_proxy(cmd):
    with proxy(cmd) as status:
        assert status("/api/kubernetes") == 404
        assert status("/api/v1/namespaces") == 200
        assert status("/metrics") == 200
        assert status("/static/") == 200
    with proxy(cmd) as status:
        assert status("/apis") == 200
        assert status("/apis/apps/") == 200
    with proxy(cmd, "--api-prefix=/custom") as status:
        assert status("/custom/api/kubernetes") == 404
        assert status("/custom/api/v1/namespaces") == 200
        assert status("/custom/metrics") == 200

"""What the cases of sig-cli share: the manifests that upstream's have, with an image that runs here."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from wherry.testing import builders
from wherry.testing.kubectl import Kubectl

SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"It works!"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
print("up", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


def _primary() -> Any:
    labels = {"app": "agnhost", "role": "primary"}
    container = builders.container("agnhost-primary", ports=[{"containerPort": 6379}])
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": "agnhost-primary", "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": labels,
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def ready(kubectl: Kubectl, what: str, *labels: str) -> None:
    """Wait until pods are ready."""
    kubectl("wait", "--for=condition=Ready", what, *labels, "--timeout=90s")


@pytest.fixture
def primary() -> Any:
    """Give the ReplicationController of many cases, of one pod that says port 6379."""
    return _primary()


@pytest.fixture
def running_primary(kubectl: Kubectl, primary: Any) -> str:
    """Run it; give its name."""
    kubectl("create", "-f", "-", text=json.dumps(primary))
    ready = "--for=jsonpath={.status.readyReplicas}=1"
    kubectl("wait", ready, "rc/agnhost-primary", "--timeout=90s")
    return "agnhost-primary"


@pytest.fixture
def httpd(kubectl: Kubectl) -> str:
    """Run a pod that serves HTTP at 8080 and is ready; give its name."""
    pod = builders.pod("httpd", namespace=kubectl.namespace, restart="Always")
    container = builders.container("httpd", python=SERVER, ports=[{"containerPort": 8080}])
    container["readinessProbe"] = {"httpGet": {"port": 8080}, "periodSeconds": 1}
    pod["spec"]["containers"] = [container]
    pod["metadata"]["labels"] = {"name": "httpd"}
    kubectl.apply(pod)
    ready(kubectl, "pod/httpd")
    return "httpd"


@pytest.fixture
def wait_ready(kubectl: Kubectl) -> Callable[..., None]:
    """Give ``wait_ready(what, *labels)``."""
    return lambda what, *labels: ready(kubectl, what, *labels)

"""The walk-through of an old guide: a kubeconfig from a service account's Secret, and what it may.

The commands are the guide's, run by a shell and a real kubectl. Where the guide has slips the
corrected command is run, with a comment that names the slip.
"""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually

_KUBECTLS = {
    "newest": str(Path(sys.executable).with_name("kubectl")),
    "machine": shutil.which("kubectl", path="/usr/local/bin:/usr/bin:/bin"),
}
_USER = "system:serviceaccount:seunghan96:default-editor"
_PAGE = "the dashboard of the walk-through"
_SERVER = f"""
import http.server

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = {_PAGE!r}.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("", 8080), Page).serve_forever()
"""


class Shell:
    """A person's shell: one home, one kubectl, and variables that last from line to line."""

    def __init__(self, kubectl: str, home: Path, kubeconfig: Path) -> None:
        self.home = home
        (home / "bin").mkdir()
        (home / "bin" / "kubectl").symlink_to(kubectl)
        self.environment = {
            "PATH": f"{home}/bin:{os.environ['PATH']}",
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
            "KUBECTL_KUBERC": "false",
        }

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run lines, whatever comes of them."""
        return subprocess.run(
            ["bash", "-c", script],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def __call__(self, script: str) -> str:
        """Run lines that must work; return what they print."""
        done = self.run(f"set -e -o pipefail\n{script}")
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, script: str) -> str:
        """Run a line that must not work; return its complaint."""
        done = self.run(script)
        assert done.returncode != 0, f"{script} worked: {done.stdout}"
        return done.stderr

    def set(self, name: str, script: str) -> str:
        """Set a variable to what lines print, for all later lines."""
        self.environment[name] = self(script)
        return self.environment[name]


@pytest.fixture(params=_KUBECTLS)
def shell(request: pytest.FixtureRequest, platform: InProcessPlatform, tmp_path: Path) -> Shell:
    kubectl = _KUBECTLS[request.param]
    if not kubectl or not Path(kubectl).exists():
        pytest.skip(f"there is no {request.param} kubectl")
    home = tmp_path / "home"
    home.mkdir()
    return Shell(kubectl, home, platform.kubeconfig)


def prepare(shell: Shell) -> None:
    """Make what the guide finds there: a profile's namespace with its service accounts."""
    shell("""
kubectl create namespace seunghan96
kubectl create serviceaccount default-editor -n seunghan96
kubectl create rolebinding default-editor -n seunghan96 \
    --clusterrole=edit --serviceaccount=seunghan96:default-editor
""")


def secret_of(shell: Shell) -> str:
    """Return the Secret that `kubectl get sa default-editor -n seunghan96 -o yaml` lists."""

    def listed() -> re.Match[str] | None:
        text = shell("kubectl get sa default-editor -n seunghan96 -o yaml")
        return re.search(r"^secrets:\n- name: (default-editor-token-\w{5})$", text, re.MULTILINE)

    eventually(lambda: listed() is not None, what="the account's Secret is listed")
    found = listed()
    assert found is not None
    return found[1]


def steps_one_to_four(shell: Shell, server: str) -> None:
    # The guide writes `name=name=…` in the listing; the Secret's name is what is meant.
    shell.environment["name"] = secret_of(shell)
    filled = "kubectl get secret/$name -o jsonpath='{.data.token}' -n seunghan96"
    eventually(lambda: bool(shell(filled)), what="the Secret is filled")
    # Step 1, to the letter.
    shell.set("ca", r"kubectl get secret/$name -o jsonpath='{.data.ca\.crt}' -n seunghan96")
    # Step 2: the guide reads {.data.ca\.crt} once more; the token is in {.data.token}.
    shell.set(
        "token",
        "kubectl get secret/$name -o jsonpath='{.data.token}' -n seunghan96 | base64 --decode",
    )
    shell.environment["server"] = server
    # Step 3: the guide writes `context:` where a kubeconfig has `contexts:`.
    shell("""
echo "
apiVersion : v1
kind : Config
clusters :
 - name : kubeflow-cluster
   cluster :
     certificate-authority-data : ${ca}
     server : ${server}
contexts :
 - name : kubeflow-cluster
   context :
     cluster : kubeflow-cluster
     namespace : seunghan96
     user : default-editor
current-context : kubeflow-cluster
users:
 - name : default-editor
   user :
     token : ${token}
" > sa.kubeconfig
""")
    # Step 4.
    shell("mkdir -p ${HOME}/.kube && cp sa.kubeconfig ${HOME}/.kube/config")
    del shell.environment["KUBECONFIG"]


def test_steps_one_to_four(shell: Shell, platform: InProcessPlatform) -> None:
    prepare(shell)
    steps_one_to_four(shell, platform.url)
    assert _USER in shell("kubectl auth whoami")
    # The context's namespace is that of the profile, and one may work there.
    shell("kubectl create configmap mine --from-literal=a=b")
    assert "mine" in shell("kubectl get configmaps")
    assert shell("kubectl auth can-i create pods").strip() == "yes"
    assert shell.refused("kubectl get pods -n istio-system").strip() == (
        f'Error from server (Forbidden): pods is forbidden: User "{_USER}" cannot list resource '
        '"pods" in API group "" in the namespace "istio-system"'
    )
    for line in ("kubectl get nodes", "kubectl get secrets -A", "kubectl create namespace mine"):
        assert "(Forbidden)" in shell.refused(line), line
    assert shell.run("kubectl auth can-i get nodes").stdout.strip() == "no"


def test_the_guides_slips_do_not_work_anywhere(shell: Shell, platform: InProcessPlatform) -> None:
    """So that whoever follows it to the letter is told, as by Kubernetes."""
    prepare(shell)
    steps_one_to_four(shell, platform.url)
    shell("sed -i 's/^contexts :/context :/' ${HOME}/.kube/config")
    shell.refused("kubectl get configmaps")
    shell("cp sa.kubeconfig ${HOME}/.kube/config")
    shell.environment["wrong"] = shell("echo $ca | base64 --decode | tr -d '\\n'")
    complaint = shell.refused('kubectl get configmaps --token="$wrong"')
    assert "Unauthorized" in complaint or "must be logged in" in complaint


def test_the_token_ends_with_its_secret(shell: Shell, platform: InProcessPlatform) -> None:
    prepare(shell)
    admin = shell.environment["KUBECONFIG"]
    steps_one_to_four(shell, platform.url)
    shell("kubectl get configmaps")
    shell(f"kubectl --kubeconfig {admin} delete secret/$name -n seunghan96")
    complaint = shell.refused("kubectl get configmaps")
    assert "Unauthorized" in complaint or "must be logged in" in complaint


def gateway(platform: InProcessPlatform) -> None:
    """Put a small web server behind `svc/istio-ingressgateway`."""
    pod = builders.pod(
        "istio-ingressgateway",
        namespace="istio-system",
        metadata={"labels": {"app": "istio-ingressgateway"}},
        containers=[
            builders.container(
                python=_SERVER,
                ports=[{"containerPort": 8080, "name": "http"}],
                readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1},
            )
        ],
    )
    service = builders.service(
        "istio-ingressgateway", namespace="istio-system", port=80, target_port=8080
    )
    client = platform.client
    namespace = builders.namespace("istio-system")
    platform.call(client.create(kinds.NAMESPACES, namespace))
    platform.call(client.create(kinds.SERVICES, service))
    platform.call(client.create(kinds.PODS, pod))

    def ready() -> bool:
        found = platform.call(client.get(kinds.PODS, "istio-ingressgateway", "istio-system"))
        conditions = found["status"].get("conditions") or ()
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    eventually(ready, what="the gateway's pod is ready")


def test_steps_five_to_seven(shell: Shell, platform: InProcessPlatform) -> None:
    prepare(shell)
    gateway(platform)
    admin = shell.environment["KUBECONFIG"]
    steps_one_to_four(shell, platform.url)
    # Step 5. The guide takes port 8080, which may be taken where tests run: any that is free.
    shell.environment["NAMESPACE"] = "istio-system"
    forward = "kubectl port-forward -n istio-system svc/istio-ingressgateway :80"
    complaint = shell.refused(forward)
    assert complaint.strip() == (
        'Error from server (Forbidden): services "istio-ingressgateway" is forbidden: '
        f'User "{_USER}" cannot get resource "services" in API group "" in the namespace '
        '"istio-system"'
    )
    # Step 6. The guide leaves the rules out; these are what port-forward asks for. It separates
    # the documents by `----`, which YAML does not know.
    (shell.home / "role-bind-default-editor.yaml").write_text(ROLE)
    assert "(Forbidden)" in shell.refused("kubectl apply -f role-bind-default-editor.yaml")
    shell(f"kubectl --kubeconfig {admin} apply -f role-bind-default-editor.yaml")
    # Step 7.
    with subprocess.Popen(
        ["bash", "-c", f"exec {forward}"],
        env=shell.environment,
        cwd=shell.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert _PAGE in page(process)
        finally:
            process.kill()


ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: port-forward
  namespace: istio-system
rules:
- apiGroups: [""]
  resources: ["services", "pods"]
  verbs: ["get", "list"]
- apiGroups: [""]
  resources: ["pods/portforward"]
  verbs: ["get", "create"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: port-forward
  namespace: istio-system
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: port-forward
subjects:
- kind: ServiceAccount
  name: default-editor
  namespace: seunghan96
"""


def page(process: "subprocess.Popen[str]") -> str:
    """Return what is served where kubectl says that it forwards from."""
    assert process.stdout is not None
    said = process.stdout.readline()
    found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", said)
    assert found, f"nothing is served: {said}{process.stdout.read()}"
    with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}", timeout=90) as answer:
        return str(answer.read().decode())

"""No secret and no token is in any log, event or error."""

import base64
import json
import secrets
from typing import Any

from wherry.testing import builders
from wherry.testing.waiting import eventually


def test_no_secret_gets_into_a_log(running, wire_to):
    """A process of its own, so that all it writes is in files that can be searched."""
    wire = wire_to(running)
    space = "/api/v1/namespaces/default"
    words = [f"needle-{secrets.token_hex(8)}" for _ in range(4)]

    def post(resource: str, obj: Any) -> Any:
        return wire.send("POST", f"{space}/{resource}", json.dumps(obj))

    assert post("secrets", builders.secret("s", key=words[0])).code == 201
    assert post("secrets", builders.secret("Bad", key=words[1])).code == 422
    wrong = {**builders.secret("t"), "data": {"key": words[2]}}
    assert words[2] not in post("secrets", wrong).is_refusal(400, "BadRequest")["message"]
    post(
        "serviceaccounts/default/token",
        {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}},
    )
    wire.send("GET", f"{space}/secrets", token=words[3])
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}]
    main = builders.container(
        env=env,
        script='test -n "$KEY" && cat /keys/key | wc -c',
        volumeMounts=[{"name": "k", "mountPath": "/keys"}],
    )
    volumes = [{"name": "k", "secret": {"secretName": "s"}}]
    post("pods", builders.pod("reads", containers=[main], volumes=volumes))
    missing = [
        {"name": "k", "secret": {"secretName": "s", "items": [{"key": "none", "path": "x"}]}}
    ]
    post("pods", builders.pod("waits", containers=[main], volumes=missing))

    def phase(name: str) -> Any:
        return json.loads(wire.send("GET", f"{space}/pods/{name}").text)["status"]

    eventually(lambda: phase("reads")["phase"] == "Succeeded")
    eventually(lambda: "FailedMount" in wire.send("GET", f"{space}/events").text)
    tokens = [path.read_text() for path in running.directory.glob("pods/*/**/token")]
    needles = [word for word in words if word] + [token.split(".")[2] for token in tokens if token]
    needles += [base64.b64encode(word.encode()).decode().rstrip("=") for word in words]
    texts = {"events": wire.send("GET", f"{space}/events").text}
    logs = [running.log, *running.directory.rglob("*.log"), *running.directory.glob("logs/**/*")]
    texts |= {str(path): path.read_text(errors="replace") for path in logs if path.is_file()}
    for path in running.directory.rglob("*"):
        readable_by_others = path.stat(follow_symlinks=False).st_mode & 0o077
        if path.is_file() and path.parent.name in {"pki", "store"} and path.suffix != ".crt":
            assert not readable_by_others, path
    found = [(where, word) for where, text in texts.items() for word in needles if word in text]
    assert found == []

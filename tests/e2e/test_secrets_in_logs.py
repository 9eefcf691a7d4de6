"""No canary gets into a log, an event, the audit log or the metrics, however it is sent."""

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wherry.testing import builders
from wherry.testing.running import RunningPlatform

SPACE = "/api/v1/namespaces/default"
_BEARER = "base64url.bearer.authorization.k8s.io."
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
SCHEMA = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def talkative(tmp_path: Path) -> Iterator[RunningPlatform]:
    """Give a platform that logs all it can, and audits all it may."""
    policy = tmp_path / "policy.json"
    rules = [{"level": "RequestResponse"}]
    policy.write_text(
        json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules})
    )
    log = str(tmp_path / "audit.log")
    arguments = ["--verbose", "--audit-log", log, "--audit-policy", str(policy)]
    platform = RunningPlatform(tmp_path / "platform", arguments=arguments)
    try:
        platform.start()
        yield platform
    finally:
        platform.end()


class Canaries:
    """Secrets that are looked for afterwards, plain and in base64 wherever they may start."""

    def __init__(self) -> None:
        self.sown: dict[str, str] = {}

    def new(self, where: str) -> str:
        word = self.sown[where] = f"canary{secrets.token_hex(12)}"
        return word

    def add(self, where: str, word: str) -> str:
        self.sown[where] = word
        return word

    def found_in(self, texts: dict[str, str]) -> list[tuple[str, str]]:
        return [
            (where, place)
            for where, word in self.sown.items()
            for form in _forms(word)
            for place, text in texts.items()
            if form in text
        ]


def _forms(word: str) -> list[str]:
    shifted = [base64.b64encode(b" " * shift + word.encode()).decode()[4:-4] for shift in range(3)]
    return [word, *shifted]


def test_no_canary_is_written_anywhere(talkative, wire_to, tmp_path):
    wire, canaries = wire_to(talkative), Canaries()

    def send(method: str, path: str, body: Any = None, type_: str = "json", **more: Any) -> Any:
        data = None if body is None else json.dumps(body)
        return wire.send(method, path, data, type_=f"application/{type_}", **more)

    one = builders.secret("one", key=canaries.new("created"))
    assert send("POST", f"{SPACE}/secrets", one).code == 201
    changed = builders.secret("one", key=canaries.new("replaced"))
    assert send("PUT", f"{SPACE}/secrets/one", changed).code == 200
    for kind, word in (("merge-patch+json", "merged"), ("strategic-merge-patch+json", "strategic")):
        patch = {"stringData": {"k": canaries.new(word)}}
        assert send("PATCH", f"{SPACE}/secrets/one", patch, kind).code == 200
    steps = [{"op": "add", "path": "/stringData", "value": {"j": canaries.new("json patch")}}]
    assert send("PATCH", f"{SPACE}/secrets/one", steps, "json-patch+json").code == 200
    applied = builders.secret("two", key=canaries.new("applied"))
    path = f"{SPACE}/secrets/two?fieldManager=m"
    assert send("PATCH", path, applied, "apply-patch+yaml").code == 201
    send("GET", f"{SPACE}/secrets")
    send("GET", f"{SPACE}/secrets?watch=true&timeoutSeconds=1")
    # Wrong in ways that an error might quote.
    wrong: dict[str, Any] = {
        "metadata": {"name": "three"},
        "data": {"k": canaries.new("no base64")},
    }
    assert send("POST", f"{SPACE}/secrets", wrong).code == 400
    wrong = {"metadata": {"name": "three"}, "stringData": {"k": [canaries.new("a list")]}}
    assert send("POST", f"{SPACE}/secrets", wrong).code >= 400
    wrong = {"metadata": {"name": "three"}, "type": "x", canaries.new("a field"): 1}
    assert send("POST", f"{SPACE}/secrets?fieldValidation=Strict", wrong).code == 400
    wire.send("POST", f"{SPACE}/secrets", '{"data": {"k": "' + canaries.new("broken"))
    wire.send(
        "POST", f"{SPACE}/secrets", f"a: [{canaries.new('broken YAML')}", type_="application/yaml"
    )
    # Credentials, good and bad, wherever clients put them.
    account = f"{SPACE}/serviceaccounts/default/token"
    answer = send("POST", account, {"spec": {"audiences": []}})
    assert answer.code == 201
    good = canaries.add("issued token", json.loads(answer.text)["status"]["token"])
    assert wire.send("GET", f"{SPACE}/pods", token=good).code in {200, 403}
    assert wire.send("GET", f"{SPACE}/pods", token=canaries.new("bearer")).code == 401
    basic = base64.b64encode(f"bob:{canaries.new('basic')}".encode()).decode()
    wire.send("GET", f"{SPACE}/pods", anonymous=True, Authorization=f"Basic {basic}")
    wire.send("GET", f"{SPACE}/pods?access_token={canaries.new('in the query')}")
    wire.send("GET", f"{SPACE}/pods/x/exec?command=ls&token={canaries.new('exec query')}")
    inner = base64.urlsafe_b64encode(canaries.new("subprotocol").encode()).decode().rstrip("=")
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
               "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
               "Sec_WebSocket_Protocol": f"{_BEARER}{inner}, v4.channel.k8s.io"}  # fmt: skip
    wire.send("GET", f"{SPACE}/pods/x/exec?command=ls", anonymous=True, **upgrade)
    wire.send("GET", f"{SPACE}/pods", Cookie=f"session={canaries.new('cookie')}")
    review = {"spec": {"token": canaries.new("reviewed")}}
    assert send("POST", REVIEWS, review).code == 201
    assert send("POST", REVIEWS, {"spec": {"token": good}}).code == 201
    # A stored token, as `kubectl apply` of a Secret leaves it.
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": canaries.new("last applied")}
    last = builders.secret("four", key="x")
    last["metadata"]["annotations"] = annotations
    assert send("POST", f"{SPACE}/secrets", last).code == 201
    assert send("DELETE", f"{SPACE}/secrets/four").code == 200
    texts = {
        "events": send("GET", "/api/v1/events").text,
        "metrics": send("GET", "/metrics").text,
    }
    talkative.stop()
    files = [tmp_path / "audit.log", *talkative.directory.rglob("*.log"), talkative.log]
    texts |= {str(path): path.read_text(errors="replace") for path in files}
    audited = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert {each["verb"] for each in audited} >= {"create", "update", "patch", "list", "watch"}
    assert any("responseObject" in each for each in audited), "bodies are kept of what is no secret"
    assert canaries.found_in(texts) == []

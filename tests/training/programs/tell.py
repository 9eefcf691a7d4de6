"""What a training may send of itself: each case is tried, and what came of it printed."""

import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path

URL = os.environ["KUBEFLOW_TRAINER_SERVER_URL"]
OWN = Path(os.environ["KUBEFLOW_TRAINER_SERVER_TOKEN"]).read_text()
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token").read_text()
TRUSTED = ssl.create_default_context(cafile=os.environ["KUBEFLOW_TRAINER_SERVER_CA_CERT"])
TIME = "2026-06-12T03:00:00.5+00:00"


def send(body, *, token=OWN, url=URL):
    """Return code and answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    asked = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(asked, context=TRUSTED, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def told(**fields):
    return {"trainerStatus": {"lastUpdatedTime": TIME, **fields}}


METRIC = {"name": "loss", "value": "0.5"}
CASES = {
    "all": send(told(progressPercentage=42, estimatedRemainingSeconds=7, metrics=[METRIC])),
    "nothing": send({}),
    "no token": send(told(), token=""),
    "another token": send(told(), token=ACCOUNT),
    "another job": send(told(), url=URL.replace("/trainjobs/j/", "/trainjobs/other/")),
    "no JSON": send(b"{"),
    "no object": send([]),
    "too deep": send(b"[" * 60_000),
    "no time": send({"trainerStatus": {}}),
    "a number": send(told(metrics=[{"name": "loss", "value": 0.5}])),
    "too far": send(told(progressPercentage=101)),
    "too long": send(told(estimatedRemainingSeconds=10**30)),
    "too much": send(b" " * (64 * 1024 + 1)),
    "no such place": send(told(), url=URL + "es"),
}
print(json.dumps(CASES))  # noqa: T201 - what a failed test shows
Path("/dev/termination-log").write_text(json.dumps({k: v[0] for k, v in CASES.items()}))

"""Real S3 servers on loopback, and the environment in which s3fs talks to them."""

import dataclasses
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from wherry.metadata.artifacts.providers import Providers
from wherry.testing import environments, object_stores
from wherry.testing.object_stores import ObjectStore

ROOT = Path(__file__).resolve().parents[3]
PINS = ROOT / "requirements" / "stores.txt"


@pytest.fixture(scope="session")
def stores() -> Path:
    """Give the folder of an environment with S3 servers and s3fs."""
    return environments.environment(PINS, ROOT / "build" / "clients")


@dataclasses.dataclass(frozen=True)
class Calls:
    """Calls of `Storage` in a process that reaches one server."""

    python: Path
    url: str
    secret: str = object_stores.SECRET_KEY

    @property
    def variables(self) -> dict[str, str]:
        """What a container's environment would be."""
        keys = {"secretName": "keys", "accessKeyKey": "access", "secretKeyKey": "secret"}
        said = {
            "default": {
                "endpoint": self.url.removeprefix("http://"),
                "disableSSL": True,
                "region": "us-east-1",
                "maxRetries": 2,
                "credentials": {"fromEnv": False, "secretRef": keys},
            }
        }
        google = {"default": {"endpoint": self.url, "credentials": {"fromEnv": True}}}
        config = {"providers": json.dumps({"s3": said, "minio": said, "gs": google})}
        values = {"access": object_stores.ACCESS_KEY, "secret": self.secret}
        return {
            each["name"]: each.get("value") or values[each["valueFrom"]["secretKeyRef"]["key"]]
            for each in Providers(config).variables(["s3://b/x"])
        }

    def start(self, *calls: Sequence[Any]) -> "subprocess.Popen[bytes]":
        """Begin to do something."""
        process = subprocess.Popen(
            [str(self.python), str(Path(__file__).with_name("storing.py"))],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), **self.variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(calls).encode())
        process.stdin.close()
        process.stdin = None
        return process

    def __call__(self, *calls: Sequence[Any]) -> Any:
        """Do something; return what came of each call."""
        output, _ = self.start(*calls).communicate(timeout=240)
        return json.loads(output)


def _made(kind: str, stores: Path, folder: Path) -> ObjectStore:
    if kind == "gcs":
        return object_stores.gcs(stores)
    return object_stores.rclone(stores, folder) if kind == "rclone" else object_stores.moto(stores)


@pytest.fixture(params=["moto", "rclone", "gcs"])
def server(request: pytest.FixtureRequest, stores: Path, tmp_path: Path) -> Iterator[ObjectStore]:
    """Give a server of each kind."""
    made = _made(request.param, stores, tmp_path / "data")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def bucket(request: pytest.FixtureRequest, server: ObjectStore) -> str:
    """Give the URI of the server's bucket."""
    scheme = "gs" if "gcs" in request.node.callspec.params.values() else "s3"
    return f"{scheme}://{object_stores.BUCKET}"


@pytest.fixture
def calls(server: ObjectStore, stores: Path) -> Calls:
    return Calls(stores / "bin" / "python", server.url)

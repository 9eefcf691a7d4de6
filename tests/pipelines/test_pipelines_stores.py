"""Artifacts in an S3 server and in a claim: brought to steps and away from them, or it is said why not."""

from pathlib import Path

import pytest

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.pipelines import kinds
from wherry.testing import environments, object_stores
from wherry.testing.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements" / "stores.txt"
OUT = "{{$.outputs.parameters['out'].output_file}}"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A server that checks keys and keeps everything in files."""
    if not PINS.exists():
        pytest.skip(f"there are no pins of S3 servers: {PINS.name}")
    environment = environments.environment(PINS, ROOT / "build" / "clients")
    made = object_stores.rclone(environment, tmp_path_factory.mktemp("store"))
    made.start()
    yield made
    made.kill()


def use(runs, store, secret=object_stores.SECRET_KEY):
    """Have a namespace keep its artifacts in a store."""
    keys = {"access": object_stores.ACCESS_KEY, "secret": secret}
    held = {"metadata": {"name": "keys", "namespace": runs.namespace}, "stringData": keys}
    runs.platform.call(runs.client.create(core.SECRETS, held))
    providers = f"""
s3:
  default:
    endpoint: {store.url.removeprefix("http://")}
    disableSSL: true
    region: us-east-1
    credentials:
      fromEnv: false
      secretRef: {{secretName: keys, accessKeyKey: access, secretKeyKey: secret}}
"""
    data = {"defaultPipelineRoot": "s3://bucket/root", "providers": providers}
    body = {"metadata": {"name": "kfp-launcher", "namespace": runs.namespace}, "data": data}
    runs.platform.call(runs.client.create(core.CONFIG_MAPS, body))


def two_steps(pipeline):
    """Return a pipeline whose second step reads what the first one made."""
    made = pipeline()
    made.step(
        "make",
        "mkdir -p {{$.outputs.artifacts['data'].path}}; "
        "echo kept > {{$.outputs.artifacts['data'].path}}/file; "
        f"echo {{{{$.outputs.artifacts['data'].uri}}}} > {OUT}",
        outputs={"out": "STRING"},
        makes=["data"],
    )
    made.step(
        "read",
        f"cat {{{{$.inputs.artifacts['data'].path}}}}/file > {OUT}",
        outputs={"out": "STRING"},
        reads=["data"],
    )
    made.task("make")
    made.task("read", artifacts={"data": ("make", "data")})
    made.output("kept", "read", "out")
    made.output("uri", "make", "out")
    return made.spec()


def test_artifacts_go_through_a_store(runs, pipeline, store):
    use(runs, store)
    run = runs.run(two_steps(pipeline))
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    outputs = run["status"]["outputs"]
    assert outputs["kept"] == "kept\n"
    place = store.keeps / outputs["uri"].strip().removeprefix("s3://")
    assert (place / "file").read_text() == "kept\n"


def test_a_failed_upload_fails_the_step(runs, pipeline, store):
    use(runs, store, secret="wrong")
    run = runs.run(two_steps(pipeline))
    assert run["status"]["state"] == kinds.FAILED
    assert "outputs could not be stored: s3://bucket/root" in run["status"]["message"]


def test_artifacts_go_through_a_claim(runs, pipeline):
    claim = {
        "metadata": {"name": "shared", "namespace": runs.namespace},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    runs.platform.call(runs.client.create(core.PERSISTENT_VOLUME_CLAIMS, claim))
    run = runs.run({**two_steps(pipeline), "runtimeConfig": {"pipelineRoot": "pvc://shared/root"}})
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    assert run["status"]["outputs"]["kept"] == "kept\n"
    made = runs.rows(run)["root/make"].outputs.artifacts["data"][0]
    assert made.uri.startswith("pvc://shared/root/")


def test_a_step_that_is_ended_does_not_wait_for_its_upload(runs, pipeline, store):
    use(runs, store)
    made = pipeline()
    made.step("long", "sleep 600", makes=["data"])
    made.task("long")
    runs.start(made.spec())

    def begun():
        return [pod for pod in runs.pods() if pod.get("status", {}).get("phase") == "Running"]

    eventually(begun, 120)
    runs.patch({"terminate": True})
    assert runs.ended()["status"]["state"] == kinds.CANCELED
    assert {metadata.name(pod) for pod in runs.pods()} == set()

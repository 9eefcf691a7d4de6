"""Runs packages by the client of version 1 of `kfp`, and tells how they ended, by name."""

import base64
import io
import json
import sys
import tarfile
from pathlib import Path

import kfp

SECONDS = 200
ARGUMENTS = {
    "sums": {"first": "3", "second": "4"},
    "files": {"text": "xy"},
    "conditions": {"seed": 2},
    "loops": {"count": 2},
}


def read(client, run_id, node, name):
    """Return what is in an artifact, as upstream's page reads it."""
    data = client._run_api.read_artifact(run_id, node, name).data
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(data))) as archive:
        return archive.extractfile(archive.next()).read().decode()


def told(client, run_id):
    """Return how a run ended."""
    detail = client.wait_for_run_completion(run_id, SECONDS)
    workflow = json.loads(detail.pipeline_runtime.workflow_manifest)
    nodes = workflow["status"]["nodes"]
    return {
        "status": detail.run.status,
        "error": detail.run.error,
        "phase": workflow["status"]["phase"],
        "name": workflow["metadata"]["name"],
        "labelled": workflow["metadata"]["labels"].get("pipeline/runid") == run_id,
        "parameters": {p.name: p.value for p in detail.run.pipeline_spec.parameters or ()},
        "metrics": [[m.name, m.number_value, m.format] for m in detail.run.metrics or ()],
        "nodes": [
            [
                node["displayName"],
                node["type"],
                node["phase"],
                [p["value"] for p in (node.get("outputs") or {}).get("parameters") or ()],
                node.get("message", ""),
            ]
            for node in nodes.values()
        ],
        "artifacts": {
            artifact["name"]: read(client, run_id, key, artifact["name"])
            for key, node in nodes.items()
            for artifact in (node.get("outputs") or {}).get("artifacts") or ()
            if node["type"] == "Pod" and artifact["name"] != "main-logs"
        },
    }


def main():
    host, token, namespace, folder = sys.argv[1:]
    client = kfp.Client(host=host, existing_token=token)
    runs = {}
    for package in sorted(Path(folder).glob("*.yaml")):
        made = client.create_run_from_pipeline_package(
            str(package),
            arguments=ARGUMENTS.get(package.stem, {}),
            run_name=package.stem,
            experiment_name="packages",
            namespace=namespace,
        )
        runs[package.stem] = made.run_id
    print(json.dumps({name: told(client, run_id) for name, run_id in runs.items()}))  # noqa: T201


main()

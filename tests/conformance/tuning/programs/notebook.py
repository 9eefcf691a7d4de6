"""Runs the cells of a notebook one after the other, as somebody who waits for experiments to end.

Cells for the shell, which install what is installed already, are left out.
"""

import json
import sys
import time

from kubeflow.katib import KatibClient
from kubernetes import config

NAMESPACE = "kubeflow-user-example-com"

config.load_kube_config()
with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123 - runs in the SDK's environment
    cells = [each for each in json.load(file)["cells"] if each["cell_type"] == "code"]
names = {}
for cell in cells:
    text = "".join(cell["source"])
    if not any(line.startswith(("!", "%")) for line in text.splitlines()):
        exec(text, names)
    for experiment in KatibClient().list_experiments(namespace=NAMESPACE):
        name = experiment.metadata.name
        KatibClient().wait_for_experiment_condition(
            name, NAMESPACE, timeout=600, polling_interval=1
        )
        time.sleep(0.1)

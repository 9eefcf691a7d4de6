"""The rules and the patch of the guide are read as they stand."""

import json
import re
from pathlib import Path

import yaml

from wherry.objects import metadata
from wherry.pipelines import kinds
from wherry.pipelines.history import retention
from wherry.pipelines.history.retention import Rule
from wherry.testing.waiting import eventually

TEXT = (Path(__file__).parents[2] / "docs" / "guide" / "pipelines-history.md").read_text("utf-8")


def test_the_rules():
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    config = yaml.safe_load(block)
    assert config["metadata"]["name"] == retention.CONFIG_MAP
    day = 86_400
    assert retention.read(config["data"]) == [
        Rule(max_age=90 * day),
        Rule(experiment="nightly", max_age=14 * day, max_runs=50),
        Rule(states=("FAILED", "CANCELED"), max_age=7 * day),
    ]


def test_the_patch(runs, pipeline, tmp_path):
    (patch,) = re.findall(r"kubectl patch pr RUN --type merge -p '(.*)'", TEXT)
    made = pipeline()
    made.step("train", f"echo x >> {tmp_path}/train; test -e {tmp_path}/go")
    made.task("train")
    uid = metadata.uid(runs.run(made.spec()))
    (tmp_path / "go").touch()
    runs.patch(json.loads(patch)["spec"])
    eventually(lambda: runs.get()["status"]["state"] == kinds.SUCCEEDED, 120)
    assert (tmp_path / "train").read_text() == "x\nx\n"
    assert metadata.uid(runs.get()) == uid

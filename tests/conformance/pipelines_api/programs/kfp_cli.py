"""The commands of `kfp`, as users type them.

Each is tried by the step of its name; a step that has failed tells why, and the others go on.
"""

import json
import os
import pathlib
import sys
import traceback
import warnings

warnings.simplefilter("ignore")

from click.testing import CliRunner  # noqa: E402 - kfp warns as soon as it is imported
from kfp.cli import cli  # noqa: E402 - likewise

NAMESPACE = os.environ["NAMESPACE"]
ENDPOINT, TOKEN = sys.argv[1:3]
SOURCE = """
from kfp import dsl

@dsl.component(base_image="python:3.11")
def add(a: int, b: int) -> int:
    return a + b

@dsl.pipeline(name="adder")
def adder(a: int = 1):
    add(a=a, b=2)
"""
COMPONENT = """
from kfp import dsl

@dsl.component(base_image="python:3.11", target_image="example.org/add:1")
def add(a: int, b: int) -> int:
    return a + b
"""
OUTCOMES = {}


def kfp(*words, ok=True):
    """Type a command; return what it printed."""
    done = CliRunner().invoke(
        cli.cli,
        ["--endpoint", ENDPOINT, "--existing-token", TOKEN, "-n", NAMESPACE, "--output", "json"]
        + [str(word) for word in words],
        input="y\n" * 3,
        obj={},
    )
    if ok:
        assert done.exit_code == 0, (words, done.output, done.exception)
    else:
        assert done.exit_code, (words, done.output)
    return done.output


def told(*words):
    """Type a command; return the JSON that it printed last."""
    text = kfp(*words)
    start = min(at for at in (text.find("{"), text.find("[")) if at >= 0)
    return json.JSONDecoder().raw_decode(text[start:])[0]


class Steps:
    """A step for each command, its words put together by ``__``."""

    def dsl__compile(self):
        pathlib.Path("adder.py").write_text(SOURCE)
        kfp("dsl", "compile", "--py", "adder.py", "--output", "adder.yaml")
        assert "name: adder" in pathlib.Path("adder.yaml").read_text()

    def component__build(self):
        folder = pathlib.Path("component")
        folder.mkdir()
        (folder / "add.py").write_text(COMPONENT)
        kfp("component", "build", folder, "--no-build-image")
        assert (folder / "component_metadata").is_dir()

    def experiment__create(self):
        self.experiment = told("experiment", "create", "first", "-d", "words")
        assert self.experiment["display_name"] == "first"

    def experiment__list(self):
        listed = told("experiment", "list")
        assert [each["display_name"] for each in listed] == ["first"]

    def experiment__get(self):
        assert told("experiment", "get", self.experiment["experiment_id"]) == self.experiment

    def experiment__archive(self):
        kfp("experiment", "archive", "--experiment-id", self.experiment["experiment_id"])
        found = told("experiment", "get", self.experiment["experiment_id"])
        assert found["storage_state"] == "ARCHIVED"

    def experiment__unarchive(self):
        kfp("experiment", "unarchive", "--experiment-name", "first")
        found = told("experiment", "get", self.experiment["experiment_id"])
        assert found["storage_state"] == "AVAILABLE"

    def pipeline__create(self):
        self.pipeline = told("pipeline", "create", "adder.yaml", "-p", f"adder-{NAMESPACE}")
        assert self.pipeline["display_name"] == f"adder-{NAMESPACE}"

    def pipeline__get(self):
        found = told("pipeline", "get", self.pipeline["pipeline_id"])
        assert found["pipeline_id"] == self.pipeline["pipeline_id"]

    def pipeline__list(self):
        assert self.pipeline["pipeline_id"] in kfp("pipeline", "list", "-m", "100")

    def pipeline__create_version(self):
        self.version = told(
            *("pipeline", "create-version", "adder.yaml", "-v", f"second-{NAMESPACE}"),
            *("-p", self.pipeline["pipeline_id"]),
        )
        assert self.version["display_name"] == f"second-{NAMESPACE}"

    def pipeline__list_versions(self):
        listed = told("pipeline", "list-versions", self.pipeline["pipeline_id"])
        assert len(listed) == 2

    def pipeline__get_version(self):
        found = told(
            *("pipeline", "get-version", self.pipeline["pipeline_id"]),
            self.version["pipeline_version_id"],
        )
        assert found["display_name"] == f"second-{NAMESPACE}"

    def run__create(self):
        self.run = told(
            *("run", "create", "-e", "first", "-r", "typed", "-f", "adder.yaml", "a=5"),
            *("-w", "-t", "120"),
        )
        assert self.run["display_name"] == "typed"
        by_id = told(
            *("run", "create", "-e", "first", "-r", "kept", "-p", self.pipeline["pipeline_id"]),
            *("-v", self.version["pipeline_version_id"]),
        )
        reference = by_id["pipeline_version_reference"]
        assert reference["pipeline_version_id"] == self.version["pipeline_version_id"]

    def run__get(self):
        found = told("run", "get", self.run["run_id"])
        assert found["run_id"] == self.run["run_id"]
        assert found["runtime_config"]["parameters"] == {"a": 5}

    def run__list(self):
        listed = told("run", "list", "-e", self.experiment["experiment_id"])
        assert {each["display_name"] for each in listed} == {"typed", "kept"}

    def run__archive(self):
        kfp("run", "archive", self.run["run_id"])
        assert told("run", "get", self.run["run_id"])["storage_state"] == "ARCHIVED"

    def run__unarchive(self):
        kfp("run", "unarchive", self.run["run_id"])
        assert told("run", "get", self.run["run_id"])["storage_state"] == "AVAILABLE"

    def run__delete(self):
        kfp("run", "delete", self.run["run_id"])
        kfp("run", "get", self.run["run_id"], ok=False)

    def recurring_run__create(self):
        self.recurring = told(
            *("recurring-run", "create", "--experiment-name", "first", "--job-name", "each year"),
            *("--cron-expression", "0 0 0 1 1 *", "--pipeline-package-path", "adder.yaml", "a=3"),
        )
        assert self.recurring["display_name"] == "each year"

    def recurring_run__get(self):
        found = told("recurring-run", "get", self.recurring["recurring_run_id"])
        assert found["trigger"]["cron_schedule"]["cron"] == "0 0 0 1 1 *"

    def recurring_run__list(self):
        listed = told("recurring-run", "list", "-e", self.experiment["experiment_id"])
        assert [each["display_name"] for each in listed] == ["each year"]

    def recurring_run__disable(self):
        kfp("recurring-run", "disable", self.recurring["recurring_run_id"])
        found = told("recurring-run", "get", self.recurring["recurring_run_id"])
        assert found["status"] == "DISABLED"

    def recurring_run__enable(self):
        kfp("recurring-run", "enable", self.recurring["recurring_run_id"])
        found = told("recurring-run", "get", self.recurring["recurring_run_id"])
        assert found["status"] == "ENABLED"

    def recurring_run__delete(self):
        kfp("recurring-run", "delete", self.recurring["recurring_run_id"])
        kfp("recurring-run", "get", self.recurring["recurring_run_id"], ok=False)

    def pipeline__delete_version(self):
        kfp(
            *("pipeline", "delete-version", self.pipeline["pipeline_id"]),
            self.version["pipeline_version_id"],
        )
        listed = told("pipeline", "list-versions", self.pipeline["pipeline_id"])
        assert len(listed) == 1
        kfp(
            *("pipeline", "delete-version", self.pipeline["pipeline_id"]),
            listed[0]["pipeline_version_id"],
        )

    def pipeline__delete(self):
        kfp("pipeline", "delete", self.pipeline["pipeline_id"])
        kfp("pipeline", "get", self.pipeline["pipeline_id"], ok=False)

    def experiment__delete(self):
        kfp("experiment", "delete", self.experiment["experiment_id"])
        kfp("experiment", "get", self.experiment["experiment_id"], ok=False)


def commands(group, words=()):
    """Return the commands below a group, by the names of their steps."""
    if not hasattr(group, "commands"):
        return ["__".join(words).replace("-", "_")]
    return [
        name
        for word, command in group.commands.items()
        for name in commands(command, (*words, word))
    ]


def main():
    steps = Steps()
    for name in [name for name in vars(Steps) if not name.startswith("_")]:
        try:
            getattr(steps, name)()
        except Exception:  # noqa: BLE001 - whatever it is, it is told of this command
            OUTCOMES[name] = traceback.format_exc()[-1500:]
        else:
            OUTCOMES[name] = ""
    print(json.dumps({"methods": commands(cli.cli), "outcomes": OUTCOMES}))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main()

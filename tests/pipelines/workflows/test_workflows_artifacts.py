"""Artifacts between nodes in a folder of the node: files and folders, wherever they are wanted."""

from pathlib import Path

import pytest

from wherry.metadata.artifacts import uris
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.steps.outputs import OutputError

pytestmark = pytest.mark.timeout(300)


def _artifacts(**paths):
    return {"artifacts": [{"name": name, "path": path} for name, path in paths.items()]}


def test_files_and_folders_go_from_one_node_to_the_next(nodes):
    made = nodes.shell(
        "echo hello > /tmp/hello.txt; mkdir -p /tmp/many/deep /made/own; echo 1 > /tmp/many/deep/one; "
        "ln -s deep/one /tmp/many/link; echo own > /made/own/file; chmod 750 /made/own/file",
        outputs=_artifacts(hello="/tmp/hello.txt", many="/tmp/many", own="/made/own"),
    )
    assert made.succeeded, made.why
    found = made.outputs.artifacts
    assert {name: each.uri.startswith("file:///") for name, each in found.items()} == {
        "hello": True,
        "many": True,
        "own": True,
    }
    read = nodes.shell(
        "cat /tmp/message /brought/elsewhere/deep/one /brought/elsewhere/link /opt/own/file; "
        "echo more >> /tmp/message; echo more >> /opt/own/file; stat -c %a /opt/own/file",
        inputs=_artifacts(hello="/tmp/message", many="/brought/elsewhere", own="/opt/own"),
        inputs_given=found,
    )
    assert read.succeeded, read.why
    assert read.outputs.result == "hello\n1\n1\nown\n750"
    again = nodes.shell("cat /x", inputs=_artifacts(hello="/x"), inputs_given=found)
    assert again.outputs.result == "hello"


def test_what_is_given_literally_is_written_with_its_mode_and_passed_on(nodes):
    script = {
        "name": "run",
        "path": "/opt/run",
        "mode": 0o755,
        "raw": {"data": "#!/bin/sh\necho ran\n"},
    }
    made = nodes.shell(
        "/opt/run; cat /tmp/text",
        inputs={
            "artifacts": [
                script,
                {"name": "text", "path": "/tmp/text", "raw": {"data": "as it is"}},
            ]
        },
        outputs={"artifacts": [{"name": "same", "path": "/opt/run"}]},
    )
    assert made.outputs.result == "ran\nas it is"
    read = nodes.shell(
        "/tmp/x", inputs=_artifacts(same="/tmp/x"), inputs_given=made.outputs.artifacts
    )
    assert read.outputs.result == "ran"


def test_parts_of_artifacts_and_optional_ones(nodes):
    made = nodes.shell(
        "mkdir -p /tmp/all/part; echo inside > /tmp/all/part/file",
        outputs={
            "artifacts": [
                {"name": "all", "path": "/tmp/all"},
                {"name": "none", "path": "/tmp/none", "optional": True},
                {"name": "far", "path": "/made/none", "optional": True},
            ]
        },
    )
    assert set(made.outputs.artifacts) == {"all"}
    wanted = [
        {"name": "all", "path": "/tmp/one", "subPath": "part/file"},
        {"name": "none", "path": "/tmp/none", "optional": True},
    ]
    read = nodes.shell(
        "cat /tmp/one; test ! -e /tmp/none",
        inputs={"artifacts": wanted},
        inputs_given=made.outputs.artifacts,
    )
    assert read.succeeded, read.why
    assert read.outputs.result == "inside"


def test_a_missing_artifact_is_an_error(nodes):
    with pytest.raises(OutputError, match=r"outputs.artifacts.data: /tmp/data was not left"):
        nodes.shell("true", outputs=_artifacts(data="/tmp/data"))
    with pytest.raises(StepError, match=r"inputs.artifacts.data: nothing is given for it"):
        nodes.shell("true", inputs=_artifacts(data="/tmp/data"))


def test_links_do_not_lead_to_files_that_are_not_the_steps(nodes):
    with pytest.raises(OutputError, match="which is not among the artifacts"):
        nodes.shell("ln -s /etc/passwd /tmp/data", outputs=_artifacts(data="/tmp/data"))
    with pytest.raises(OutputError, match=r"outputs.parameters.p: .*[Ll]"):
        nodes.shell(
            "ln -s /etc/passwd /tmp/data",
            outputs={"parameters": [{"name": "p", "valueFrom": {"path": "/tmp/data"}}]},
        )


def test_an_input_is_not_written_to_where_a_link_in_another_one_leads(nodes, tmp_path):
    made = nodes.shell(f"mkdir /tmp/a; ln -s {tmp_path} /tmp/a/out", outputs=_artifacts(a="/tmp/a"))
    wanted = [
        {"name": "a", "path": "/tmp/a"},
        {"name": "b", "path": "/tmp/a/out/deep/b", "raw": {"data": "theirs"}},
    ]
    order = nodes.order(
        {"container": {"image": "python:3.11"}, "inputs": {"artifacts": wanted}},
        made.outputs.artifacts,
    )
    with pytest.raises(StepError, match=r"inputs.artifacts.b: .* leads out of"):
        nodes.platform.call(nodes.steps.prepare(order))
    assert not [*tmp_path.iterdir()]


def test_an_artifact_with_a_key_is_found_by_it(nodes):
    out = [{"name": "data", "path": "/tmp/data", "s3": {"key": "shared/data.txt"}}]
    made = nodes.shell("echo kept > /tmp/data", outputs={"artifacts": out})
    assert made.outputs.artifacts["data"].uri.endswith("/keys/shared/data.txt")
    given = [{"name": "data", "path": "/tmp/other", "s3": {"key": "shared/data.txt"}}]
    read = nodes.shell("cat /tmp/other", inputs={"artifacts": given})
    assert read.outputs.result == "kept"


def test_a_part_of_an_artifact_is_in_it(nodes):
    made = nodes.shell(
        "mkdir /tmp/a; echo other > /tmp/b; ln -s ../b /tmp/a/b", outputs=_artifacts(a="/tmp/a")
    )
    for part in ("../b", "b"):
        wanted = [{"name": "a", "path": "/tmp/x", "subPath": part}]
        order = nodes.order(
            {"container": {"image": "python:3.11"}, "inputs": {"artifacts": wanted}},
            made.outputs.artifacts,
        )
        with pytest.raises(StepError, match="which is not among the artifacts"):
            nodes.platform.call(nodes.steps.prepare(order))


def test_what_a_running_step_has_is_not_brought_again(nodes, tmp_path):
    given = {"artifacts": [{"name": "a", "path": "/tmp/a", "raw": {"data": "given"}}]}
    order = nodes.order({"container": {"image": "python:3.11"}, "inputs": given})
    nodes.platform.call(nodes.steps.prepare(order))
    file = Path(uris.path(order.task_root)) / "wherry-tmp" / "a"
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    nodes.platform.call(nodes.steps.prepare(order))
    assert file.is_symlink()
    assert not (tmp_path / "elsewhere").exists()

"""What steps leave behind may be anything: what is not as promised fails the step, and says so."""

import json

import pytest

from wherry.pipelines.ir.messages import Component
from wherry.pipelines.staging import agent, direct
from wherry.pipelines.steps import outputs
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.steps.outputs import OutputError, Written

_TOLD = {
    "outputs": {
        "artifacts": {
            "data": {"artifacts": [{"name": "data", "type": {}, "uri": "/a/data", "metadata": {}}]}
        }
    }
}


def read(text):
    return outputs.read(Component(), _TOLD, Written(text, {}), "here").artifacts["data"]


def saying(**artifact):
    return json.dumps({"artifacts": {"data": {"artifacts": [artifact]}}})


def test_what_a_step_says_goes_over_what_was_planned():
    assert read(None)[0].uri == "file:///a/data"
    (made,) = read(saying(name="mine", uri="bq://project/table", metadata={"rows": 3}))
    assert (made.name, made.uri, made.metadata) == ("mine", "bq://project/table", {"rows": 3})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("5", "it all is no object"),
        ('{"parameterValues": "x"}', "parameterValues is no object"),
        ('{"artifacts": ["x"]}', "artifacts is no object"),
        ('{"artifacts": {"data": "x"}}', "artifacts.data is no object"),
        ('{"artifacts": {"data": {"artifacts": {"x": 1}}}}', "artifacts.data.artifacts is no list"),
        ('{"artifacts": {"data": {"artifacts": ["x"]}}}', r"artifacts\[0\] is no object"),
        (
            json.dumps({"artifacts": {"data": {"artifacts": [{}] * 10_001}}}),
            "no list of at most 10000",
        ),
        (saying(metadata="x"), "metadata of data is no object"),
        (saying(uri="/a/../../etc/passwd"), "artifact data: .* goes up"),
    ],
)
def test_what_cannot_be_read_is_told(text, message):
    with pytest.raises(OutputError, match=message):
        read(text)


def test_only_a_steps_own_small_files_are_read(tmp_path, monkeypatch):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "own").write_text("a\r\n")
    (folder / "link").symlink_to(tmp_path / "outside" / "file")
    (folder / "elsewhere").symlink_to(tmp_path / "outside")
    (folder / "inner").mkdir()
    assert agent.text(folder / "own", folder) == "a\r\n"
    assert agent.text(folder / "missing", folder) is None
    assert agent.text(folder / "inner", folder) is None
    for path in (folder / "link", folder / "elsewhere" / "file"):
        with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
            agent.text(path, folder)
    monkeypatch.setattr(agent, "LARGEST", 2)
    with pytest.raises(agent.TooLargeError, match="own has more than 2 bytes"):
        agent.text(folder / "own", folder)


def test_no_folders_are_made_where_steps_may_not_write(tmp_path):
    folder = tmp_path / "folder"
    (folder / "run").mkdir(parents=True)
    direct.make_folders(f"file://{folder}/run/task", folder)
    assert (folder / "run" / "task" / ".outputs").is_dir()
    (folder / "elsewhere").symlink_to(tmp_path)
    for root in (f"file://{tmp_path}/other/task", f"file://{folder}/elsewhere/other/task"):
        with pytest.raises(StepError, match="outside of"):
            direct.make_folders(root, folder)
    assert not (tmp_path / "other").exists()

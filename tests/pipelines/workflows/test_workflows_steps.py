"""Pods of nodes: what runs in them, and what they give."""

import pytest

from wherry.kubelet.environments import kinds as environments
from wherry.kubelet.launcher import choice
from wherry.pipelines.steps.outputs import OutputError
from wherry.testing.waiting import eventually

pytestmark = pytest.mark.timeout(300)
PYTHON = "python:3.11"


def _parameter(name, path, **more):
    return {"name": name, "valueFrom": {"path": path, **more}}


def test_a_plain_container_runs_as_it_stands_and_its_result_is_its_standard_output(nodes):
    template = {"container": {"image": PYTHON, "command": ["python3", "-c"], "args": [_TALK]}}
    ended = nodes.run(template, wants_result=True)
    assert ended.succeeded, ended.why
    assert ended.outputs.result == "said\nmore\n"
    assert ended.outputs.exit_code == 0
    main = ended.pod["spec"]["containers"][0]
    assert main["command"] == ["python3", "-c"]
    assert choice.ANNOTATION not in ended.pod["metadata"]["annotations"]


_TALK = "import sys; print('said'); print('not this', file=sys.stderr); print('more\\n')"


def test_a_script_is_a_file_that_its_command_is_given(nodes):
    source = "import sys\nprint(sys.argv[0], sys.argv[1:])\n"
    ended = nodes.run(
        {"script": {"image": PYTHON, "command": ["python3"], "source": source}}, wants_result=True
    )
    assert ended.outputs.result == "/argo/staging/script []"


def test_parameters_come_from_files_wherever_they_are(nodes):
    ended = nodes.shell(
        "echo one > /tmp/one.txt; mkdir /mnt/out; echo six > /mnt/out/six; "
        "mkdir -p /there/deep; printf 'two\\n\\n' > /there/deep/two; "
        "echo three > /three.txt; d='$'; echo four > \"/cost${d}${d}s\"",
        outputs={
            "parameters": [
                _parameter("one", "/tmp/one.txt"),
                _parameter("two", "/there/deep/two"),
                _parameter("three", "/three.txt"),
                _parameter("six", "/mnt/out/six"),
                _parameter("dollars", "/cost$$s"),
                _parameter("four", "/tmp/absent", default="fallen back"),
                _parameter("five", "/there/absent", default=5),
            ]
        },
    )
    assert ended.succeeded, ended.why
    assert ended.outputs.parameters == {
        "one": "one",
        "two": "two\n",
        "three": "three",
        "six": "six",
        "dollars": "four",
        "four": "fallen back",
        "five": "5",
    }


def test_a_missing_parameter_is_an_error_unless_the_step_has_failed(nodes):
    wanted = {"parameters": [_parameter("one", "/tmp/one.txt"), _parameter("two", "/x/two")]}
    with pytest.raises(OutputError, match=r"outputs.parameters.one: /tmp/one.txt was not written"):
        nodes.shell("true", outputs=wanted)
    ended = nodes.shell("mkdir /x; echo two > /x/two; echo said; exit 3", outputs=wanted)
    assert not ended.succeeded
    assert ended.outputs.exit_code == 3
    assert ended.outputs.result == "said"
    assert ended.outputs.parameters == {"two": "two"}


def test_plain_python_starts_warm_whether_it_is_a_container_or_a_script(nodes):
    image = f"{nodes.namespace}:1"
    spec = {"images": [image], "preload": ["fractions"]}
    body = {"metadata": {"name": nodes.namespace}, "spec": spec}
    nodes.platform.call(nodes.client.create(environments.ENVIRONMENTS, body))
    told = "import sys; print('fractions' in sys.modules)"
    container = {"image": image, "command": ["python3", "-c", told]}
    script = {"image": image, "command": ["python3"], "source": told}
    written = "open('/tmp/told', 'w').write(str('fractions' in __import__('sys').modules))"
    outputs = {"parameters": [_parameter("told", "/tmp/told")]}

    def warm(template, **fields):
        return nodes.run({**template, **fields}, wants_result=True).outputs

    eventually(lambda: warm({"container": container}).result == "True", 120)
    eventually(lambda: warm({"script": script}).result == "True", 120)
    collected = {"script": {**script, "source": written}}
    eventually(lambda: warm(collected, outputs=outputs).parameters == {"told": "True"}, 120)


def test_a_step_may_write_how_far_it_is(nodes):
    ended = nodes.shell('echo 50/100 > "$ARGO_PROGRESS_FILE"; cat "$ARGO_PROGRESS_FILE"')
    assert ended.outputs.result == "50/100"


def test_of_a_long_result_the_end_is_kept(nodes):
    ended = nodes.shell("yes 0123456 | head -c 400000; echo end")
    assert len(ended.outputs.result) == 256 * 1024
    assert ended.outputs.result.endswith("0123456\nend")

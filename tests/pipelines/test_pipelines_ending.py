"""What is said of a step that failed: of a long traceback the error, with its beginning and its end."""

from typing import Any

import pytest

from wherry.pipelines.steps import ending

FRAME = '  File "/lib/exceptions.py", line 147, in from_response\n    raise Forbidden(body)\n    ^^^^^\n'
REFUSED = (
    "client.ForbiddenException: (403)\nheaders: " + 900 * "x" + '\nbody: "alice" cannot create pods'
)


def failed(said: str) -> dict[str, Any]:
    ended = {"terminated": {"exitCode": 1, "message": said}}
    status = {"phase": "Failed", "containerStatuses": [{"name": "main", "state": ended}]}
    return {"metadata": {"name": "step"}, "status": status}


def told(said: str) -> str:
    found = ending.of(failed(said))
    assert found is not None
    assert not found.succeeded
    return found.message


@pytest.mark.parametrize(
    ("said", "gist"),
    [
        ("no such file\n", "no such file"),
        (f"Traceback (most recent call last):\n{FRAME}ValueError: no 4\n", "ValueError: no 4"),
        # Its beginning is cut off where the kubelet keeps the end of the log.
        (f"    raise Other\n{FRAME}{FRAME}ValueError: no\nmore\n", "ValueError: no\nmore"),
    ],
)
def test_a_traceback_is_told_by_its_error(said: str, gist: str) -> None:
    assert told(said) == f"pod step failed (exit code 1): {gist}"


def test_a_long_error_is_told_by_its_beginning_and_its_end() -> None:
    found = told(FRAME + REFUSED)
    assert "(exit code 1): client.ForbiddenException: (403)" in found
    assert found.endswith('"alice" cannot create pods')
    assert len(found) < 900


def test_of_what_is_no_traceback_the_end_is_told() -> None:
    assert told(f"begin {2000 * 'x'} end").endswith("xxx end")
    assert "begin" not in told(f"begin {2000 * 'x'} end")

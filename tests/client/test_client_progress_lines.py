"""Lines of progress where there is no terminal: not all the time, and none is lost for good."""

import sys
import time

import pytest

from wherry.client.progress_lines import ProgressLine


def test_what_came_too_soon_is_shown_later(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    line = ProgressLine()
    line.show("pending")
    now = 1.0
    line.show("running")
    assert capsys.readouterr().out == "pending\n"
    now = 6.0
    line.show("running")
    now = 12.0
    line.show("running")
    line.show("done", last=True)
    assert capsys.readouterr().out == "running\ndone\n"


def test_a_terminal_is_given_one_line_that_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    line = ProgressLine()
    line.show("first\nand second")
    line.show("third")
    line.close()
    assert capsys.readouterr().out == "\rfirst and\rthird    \n"

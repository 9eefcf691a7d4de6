"""The pages on tuning from Python and on collectors of one's own are run as they stand."""

import inspect
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from wherry.tuning import collectors

pytestmark = pytest.mark.timeout(300)

DOCS = Path(__file__).parents[2] / "docs"


def _code(page):
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_collector_of_the_page_keeps_to_the_contract(monkeypatch):
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    collector, test = _code("extending/metrics-collector.md")
    exec(compile(collector, "page", "exec"), module.__dict__)
    monkeypatch.setitem(collectors._BY_KIND, "CsvFile", module.CsvFile())
    exec(compile(test, "page", "exec"), module.__dict__)
    contract, tried = module.TestCsvFile(), 0
    for name, method in inspect.getmembers(contract, inspect.ismethod):
        if name.startswith("test_"):
            method()
            tried += 1
    assert tried == 4


def test_the_search_of_the_page_finds_something(shared_platform, tmp_path):
    script = tmp_path / "page.py"
    script.write_text(_code("guide/tune-sdk.md")[0])
    environment = {**os.environ, "WHERRY_HOME": str(shared_platform.directory)}
    done = subprocess.run(
        [sys.executable, script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"\{'lr': 0\.\d+, 'layers': [1-4], 'optimizer': '(sgd|adam)'\}", done.stdout)
    assert "10/10" in done.stdout

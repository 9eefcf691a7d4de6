"""The page on frameworks of one's own is run as it stands."""

import inspect
import re
import sys
import types
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "extending" / "training-framework.md"


@pytest.fixture
def page(monkeypatch):
    """Return the page's code as a module."""
    code = "\n".join(
        re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    )
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    return module


async def test_the_framework_of_the_page_keeps_to_the_contract(page, tmp_path):
    contract = page.TestRing()
    tried = 0
    for name, test in inspect.getmembers(contract, inspect.ismethod):
        if name.startswith("test_"):
            wants = inspect.signature(test).parameters
            done = test(tmp_path) if wants else test()
            if inspect.isawaitable(done):
                await done
            tried += 1
    assert tried > 5

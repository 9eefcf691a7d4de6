"""The algorithm of the guide does what the guide says."""

import re
from pathlib import Path
from typing import Any

from wherry.testing.contracts import AlgorithmContract

GUIDE = Path(__file__).parents[2] / "docs" / "extending" / "search-algorithm.md"


def made():
    code = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)[0]
    names: dict[str, Any] = {"__name__": "evolve"}
    exec(compile(code, str(GUIDE), "exec"), names)
    return names["Evolve"]()


class TestEvolve(AlgorithmContract):
    algorithm = made()

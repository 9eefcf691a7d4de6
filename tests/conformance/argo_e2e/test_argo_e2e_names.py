"""Every end-to-end test of Argo's files that are told again here is listed, and no other."""

import json
from pathlib import Path

import pytest

from wherry.testing.argo_e2e import CHECKOUT, Upstream

NAMES = sorted((Path(__file__).parent / "names").glob("*.json"))


@pytest.mark.slow
@pytest.mark.skipif(not CHECKOUT, reason="WHERRY_ARGO names no checkout")
@pytest.mark.parametrize("path", NAMES, ids=lambda path: path.stem)
def test_the_names_are_upstreams(path: Path) -> None:
    rows = json.loads(path.read_text(encoding="utf-8"))
    # Parts of a test are listed as NAME/PART.
    listed = {row["name"].partition("/")[0] for row in rows}
    assert listed == set(Upstream(Path(CHECKOUT)).names(path.stem))

"""The benchmarks run, and their figures have the form that later runs and readers rely on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KEYS = {"bench", "case", "value", "unit", "peer", "peer_value", "ratio"}
OLDER = {"bench": "other", "case": "kept", "value": 1.0, "unit": "s"}


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform != "linux", reason="CPU time of other processes is read on Linux")
def test_a_quick_run_measures_and_keeps_the_rows_of_other_benches(tmp_path: Path):
    output = tmp_path / "bench.json"
    output.write_text(json.dumps([OLDER, OLDER | {"bench": "api", "case": "gone"}]))
    command = [sys.executable, "benchmarks/run.py", "--quick", "--only", "api"]
    done = subprocess.run(
        [*command, "--output", str(output)],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("KUBE")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept, *rows = json.loads(output.read_text())
    assert kept == OLDER
    assert all(set(row) == KEYS for row in rows)
    assert {row["bench"] for row in rows} == {"api"}
    cases = {row["case"] for row in rows}
    assert {"get", "create", "merge patch", "strategic patch"} <= cases
    assert "gone" not in cases
    assert all(row["value"] > 0 for row in rows)
    compared = [row for row in rows if row["peer"]]
    assert compared
    assert all(
        row["ratio"] == pytest.approx(row["value"] / row["peer_value"], rel=1e-2)
        for row in compared
    )
    assert "merge patch" in done.stdout


def test_an_unknown_bench_is_refused_with_those_that_are_known():
    done = subprocess.run(
        [sys.executable, "benchmarks/run.py", "--only", "nothing"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 2
    assert "nothing" in done.stderr
    assert "api" in done.stderr

"""The example of distributed training, as its README says."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "03-training"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_three_ranks_train_as_one() -> None:
    with tempfile.TemporaryDirectory(prefix="wherry-e2e-") as home:
        environment = {**os.environ, "WHERRY_HOME": f"{home}/wherry"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def run(*words: str) -> str:
            done = subprocess.run(
                [sys.executable, *words],
                cwd=FOLDER,
                env=environment,
                capture_output=True,
                text=True,
                timeout=400,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        try:
            run("-m", "wherry.cli", "up")
            run("-m", "wherry.cli", "apply", "-f", "environment.yaml")
            printed = run("run.py")
            weights = re.findall(r"weights weigh ([\d.]+)", printed)
            assert len(weights) == 3
            assert len(set(weights)) == 1
            accuracy = re.search(r"'accuracy': (0\.\d+)", printed)
            assert accuracy
            assert float(accuracy[1]) > 0.9
        finally:
            run("-m", "wherry.cli", "down")

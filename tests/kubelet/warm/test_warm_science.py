"""Jobs with numpy, pandas and scikit-learn come out the same, warm and cold, and no two warm ones share a stream."""

import asyncio
import dataclasses
import pathlib
from typing import Any

import pytest

_PRELOAD = ("numpy", "pandas", "sklearn.linear_model", "sklearn.ensemble")


def _programs() -> dict[str, str]:
    text = pathlib.Path(__file__).with_name("science.txt").read_text()
    parts = (part.partition("\n") for part in text.split("=== ")[1:])
    return {name: code for name, _, code in parts}


@pytest.fixture(scope="module")
def science(tmp_path_factory: pytest.TempPathFactory, stage_type: Any) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("science")
    made: pathlib.Path = stage_type.make_venv(folder, "numpy", "pandas", "scikit-learn")
    return made


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_science_is_as_cold(
    run_all: Any, science: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    programs = [
        {"name": name, "argv": ("python", "job.py"), "files": {"job.py": text}}
        for name, text in _programs().items()
    ]
    folder = tmp_path_factory.mktemp("jobs")
    for name, (cold, warm, state) in run_all(programs, science, folder, _PRELOAD).items():
        assert dataclasses.asdict(warm) == dataclasses.asdict(cold), name
        assert (state.went_cold, state.left_out) == (0, {}), (name, state.problem)


@pytest.mark.slow
@pytest.mark.timeout(200)
async def test_unseeded_numbers_differ_and_threads_are_set_by_the_pod(
    stage: Any, science: pathlib.Path
) -> None:
    stage.venv, stage.preload = science, _PRELOAD
    program = stage.program(
        name="draw",
        argv=(
            "python",
            "-c",
            "import numpy as np; print(np.random.rand(), np.random.default_rng().random())",
        ),
    )
    spec = stage.spec(program, warm=True, cwd=str(stage.folder))
    await stage.prime(spec)
    runs = []
    for _ in range(3):
        spec = stage.spec(program, warm=True, cwd=str(stage.folder))
        runs.append(asyncio.create_task(stage.run(spec)))
    drawn = [outcome.stdout.split() for outcome in await asyncio.gather(*runs)]
    assert len({number for numbers in drawn for number in numbers}) == 6
    (state,) = await stage.launcher.list_warm()
    assert (state.started, state.went_cold) == (3, 0)

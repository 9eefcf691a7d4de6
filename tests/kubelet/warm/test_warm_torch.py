"""Jobs with torch come out the same, warm and cold."""

import dataclasses
import os
import pathlib
import subprocess
from typing import Any

import pytest

_NUMBERS = """
import torch
torch.manual_seed(3)
a = torch.rand(200, 200, requires_grad=True)
b = (a @ a.T).relu().sum()
b.backward()
print(b.item(), a.grad.norm().item(), torch.initial_seed(), torch.get_num_threads())
print(torch.utils.data.get_worker_info(), torch.is_grad_enabled(), torch.get_default_dtype())
"""
_TRAINING = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
x = torch.randn(256, 8)
data = TensorDataset(x, x.sum(1, keepdim=True))
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
optimiser = torch.optim.Adam(model.parameters(), 0.01)
if __name__ == "__main__":
    for _ in range(2):
        for left, right in DataLoader(data, 64, shuffle=True, num_workers=2):
            optimiser.zero_grad()
            loss = nn.functional.mse_loss(model(left), right)
            loss.backward()
            optimiser.step()
    print(loss.item())
    torch.save(model.state_dict(), "model.pt")
    print(sorted(torch.load("model.pt")))
"""


@pytest.fixture(scope="module")
def torch(tmp_path_factory: pytest.TempPathFactory, stage_type: Any) -> pathlib.Path:
    patch = pytest.MonkeyPatch()
    if "PIP_FIND_LINKS" in os.environ:
        patch.setenv("UV_FIND_LINKS", os.environ["PIP_FIND_LINKS"])
    try:
        found: pathlib.Path = stage_type.make_venv(
            tmp_path_factory.mktemp("torch"), "torch==2.13.0", "numpy"
        )
    except subprocess.CalledProcessError:
        pytest.skip("torch cannot be installed here")
    finally:
        patch.undo()
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_torch_is_as_cold(
    run_all: Any, torch: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    texts = {"numbers": _NUMBERS, "training": _TRAINING}
    programs = [
        {"name": name, "argv": ("python", "job.py"), "files": {"job.py": text}}
        for name, text in texts.items()
    ]
    folder = tmp_path_factory.mktemp("jobs")
    for name, (cold, warm, state) in run_all(programs, torch, folder, ("torch",)).items():
        assert dataclasses.asdict(warm) == dataclasses.asdict(cold), name
        assert (state.went_cold, state.left_out) == (0, {}), (name, state.problem)

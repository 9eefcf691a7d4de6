"""Counts steps with an all-reduce in each, from where it left off; one process kills itself midway."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

STEPS, FATAL = 60, 20
shared = Path("/shared")
dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
reached = shared / "step"
start = int(reached.read_text()) if reached.exists() else 0
sys.stdout.write(
    json.dumps({"run": os.environ["TORCHELASTIC_RUN_ID"], "from": start, "size": size}) + "\n"
)
for step in range(start, STEPS):
    total = torch.ones(1)
    dist.all_reduce(total)
    assert total.item() == size
    if rank == 0:
        reached.with_suffix(".new").write_text(str(step + 1))
        reached.with_suffix(".new").rename(reached)
    if os.environ["VICTIM"] == "1" and step >= FATAL and not (shared / "killed").exists():
        (shared / "killed").touch()
        # Agent and worker at once, as when a machine is gone.
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
sys.stdout.write(json.dumps({"done": rank, "size": size}) + "\n")
dist.destroy_process_group()

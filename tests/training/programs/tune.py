"""Measures on another pod which of two ways to send numbers is quicker; with TVM's tracker in between.

What MXNet's auto-tuning is: a tracker knows the servers, a tuner asks it for one and measures there.
"""

import json
import os
import sys
import time

CONFIG = json.loads(os.environ["MX_CONFIG"])
TRACKER = CONFIG["cluster"]["tunertracker"][0]
KEY = "cpu"


def run(module, *words):
    """Go on as a program of TVM."""
    os.execv(sys.executable, [sys.executable, "-m", f"tvm.exec.{module}", *words])


def session():
    """Return a way to a server, when there is one."""
    from tvm import rpc  # noqa: PLC0415 - the tuner's alone

    while True:
        try:
            tracker = rpc.connect_tracker(TRACKER["url"], TRACKER["port"])
            return tracker.request(KEY, session_timeout=60)
        except RuntimeError:
            time.sleep(0.5)


def tune():
    """Tell how long both ways take, and that what came back is what was sent."""
    import numpy as np  # noqa: PLC0415 - as above
    from tvm import runtime  # noqa: PLC0415 - as above

    there = session().cpu(0)
    values = np.arange(4096.0)
    seconds = {}
    for parts in (1, 64):
        began = time.perf_counter()
        back = [runtime.tensor(part, there).numpy() for part in np.split(values, parts)]
        seconds[parts] = time.perf_counter() - began
        assert np.array_equal(np.concatenate(back), values)
    print(json.dumps({"best": min(seconds, key=seconds.get)}), flush=True)  # noqa: T201 - as read


match CONFIG["task"]["type"]:
    case "tunertracker":
        run("rpc_tracker", "--host", "0.0.0.0", "--port", str(TRACKER["port"]))
    case "tunerserver":
        place = f"{TRACKER['url']}:{TRACKER['port']}"
        run("rpc_server", "--tracker", place, "--key", KEY, "--host", os.environ["POD_IP"])
    case _:
        tune()

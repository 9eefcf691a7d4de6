"""Train, serve and ask: a Job, a Deployment and a Service.

Brings Wherry up, applies the manifests of this folder, waits until the model is trained and both
replicas serve it, sends every image the model has not seen through the Service, and says how good
the answers were. Needs nothing but Wherry; everything goes through its command line, as you would.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

FOLDER = pathlib.Path(__file__).parent
WHERRY = [sys.executable, "-m", "wherry.cli"]
BATCH = 25


def main() -> int:
    """Run the demonstration; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--down", action="store_true", help="stop Wherry at the end")
    parser.add_argument("--timeout", type=float, default=600, help="seconds to wait at the most")
    options = parser.parse_args()
    # Between the lines of the commands, also where the output goes into a file.
    sys.stdout.reconfigure(line_buffering=True)
    deadline = time.monotonic() + options.timeout
    clock = Stopwatch()
    wherry("up")
    clock.lap("Wherry is up")
    # A Job cannot be changed once it has run: the demonstration trains anew each time.
    if exists("job", "digits-train"):
        wherry("delete", "job/digits-train")
    wherry("apply", "-f", str(FOLDER))
    clock.lap("the manifests are applied")
    wait_for_job("digits-train", deadline)
    clock.lap("the model is trained")
    print("\n".join(f"    {line}" for line in read("logs", "job/digits-train").splitlines()))
    address = wait_for_service("digits", replicas=2, deadline=deadline)
    clock.lap("two replicas serve it")
    ask(address)
    clock.lap("all held-out images are answered")
    print_next(address)
    if options.down:
        wherry("down")
    return 0


class Stopwatch:
    """Tells how long each step took."""

    def __init__(self) -> None:
        self.last = self.started = time.monotonic()

    def lap(self, what: str) -> None:
        """Print what has been done and the seconds since the last lap."""
        now = time.monotonic()
        print(f"[{now - self.started:6.2f} s] {what} (+{now - self.last:.2f} s)", flush=True)
        self.last = now


def wherry(*arguments: str) -> None:
    """Run a command; end the demonstration where it fails."""
    if subprocess.run([*WHERRY, *arguments], check=False).returncode:
        sys.exit(f"demo: `wherry {' '.join(arguments)}` failed; see above")


def read(*arguments: str) -> str:
    """Return what a command prints."""
    return subprocess.run([*WHERRY, *arguments], check=True, capture_output=True, text=True).stdout


def exists(kind: str, name: str) -> bool:
    """Return whether there is such an object."""
    command = [*WHERRY, "get", kind, name, "-o", "name"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def get(kind: str, name: str) -> dict:
    """Return an object."""
    return json.loads(read("get", kind, name, "-o", "json"))


def give_up(what: str) -> None:
    """Say what holds an object back, and end."""
    wherry("why", what)
    sys.exit(f"demo: {what} did not get there in time; the reason stands above")


def wait_for_job(name: str, deadline: float) -> None:
    """Wait until a Job is complete."""
    shown = ""
    while time.monotonic() < deadline:
        status = get("job", name).get("status") or {}
        done = {one["type"] for one in status.get("conditions", ()) if one["status"] == "True"}
        if "Complete" in done:
            return
        if "Failed" in done:
            break
        shown = show_progress(shown)
        time.sleep(0.2)
    give_up(f"job/{name}")


def show_progress(shown: str) -> str:
    """Print how far the environment is built, when that has changed."""
    status = get("environment", "digits").get("status") or {}
    for condition in status.get("conditions", ()):
        building = condition["type"] == "Building" and condition["status"] == "True"
        if building and condition["message"] != shown:
            print(f"    building the environment: {condition['message']}", flush=True)
            return condition["message"]
    return shown


def wait_for_service(name: str, *, replicas: int, deadline: float) -> str:
    """Wait until a Deployment's replicas are ready; return the address of its Service."""
    while time.monotonic() < deadline:
        status = get("deployment", name).get("status") or {}
        if status.get("readyReplicas") == status.get("updatedReplicas") == replicas:
            spec = get("service", name)["spec"]
            address = f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}"
            if answers(address):
                return address
        time.sleep(0.1)
    give_up(f"deployment/{name}")
    raise AssertionError


def answers(address: str) -> bool:
    """Return whether the Service lets a request through."""
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def ask(address: str) -> None:
    """Send the held-out images through the Service in batches; print accuracy and timings."""
    with urllib.request.urlopen(f"{address}/held-out", timeout=30) as response:
        held_out = json.load(response)
    images, labels = held_out["images"], held_out["labels"]
    right, seconds, replicas = 0, [], collections.Counter()
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        body = json.dumps({"instances": batch}).encode()
        begun = time.perf_counter()
        request = urllib.request.Request(f"{address}/predict", body)
        with urllib.request.urlopen(request, timeout=30) as response:
            predictions = json.load(response)["predictions"]
            replicas[response.headers["X-Served-By"]] += len(batch)
        seconds.append(time.perf_counter() - begun)
        pairs = zip(predictions, labels[start : start + BATCH], strict=True)
        right += sum(guess == truth for guess, truth in pairs)
    show_one(images[0], labels[0])
    median = sorted(seconds)[len(seconds) // 2]
    print(f"    accuracy: {right / len(images):.4f} ({right} of {len(images)} held-out images)")
    print(f"    a batch of {BATCH} images: {median * 1000:.1f} ms (median of {len(seconds)})")
    for replica, count in sorted(replicas.items()):
        print(f"    {replica} answered {count} images")
    if right / len(images) < 0.9:
        sys.exit("demo: the served model is worse than it should be (accuracy below 0.9)")


def show_one(image: list[float], label: int) -> None:
    """Draw one image, so that one can see what the numbers are."""
    print(f"    one of the images, a {label}:")
    shades = " .:-=+*#%"
    for row in range(8):
        pixels = image[row * 8 : row * 8 + 8]
        print("        " + "".join(shades[min(int(value) // 2, 8)] * 2 for value in pixels))


def print_next(address: str) -> None:
    """Say where to look next."""
    home = pathlib.Path(os.environ.get("WHERRY_HOME") or pathlib.Path.home() / ".wherry")
    print(
        f"""
Where to look next (Wherry goes on running):
    export KUBECONFIG={home / "kubeconfig"}
    kubectl get pods,jobs,deployments,services     # or: wherry get pods
    kubectl logs job/digits-train
    curl {address}/healthz
    wherry why deployment/digits
    wherry down                                    # stop everything"""
    )


if __name__ == "__main__":
    sys.exit(main())

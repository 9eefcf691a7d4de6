"""From data to a model that answers, twice, and back from the answers to the data: what `make demo` runs.

Brings Wherry up, applies the manifests of this folder, and runs the pipeline in `pipeline.py`: checks, a
split, a search, training, a judgement, a server, and predictions by it. Then it runs the same once more, now
from cache, asks the server about digits that are drawn below, and prints where the predictions come from.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

import pipeline

from wherry.pipelines import FailedRunError, Run, run

FOLDER = pathlib.Path(__file__).parent
WHERRY = [sys.executable, "-m", "wherry.cli"]
NAMESPACE = "digits"
SHADES = " .:-=+*#%"
DRAWN = {
    0: """
  .*%*.
  *%#%*
 .%:  #.
 -#   *-
 -#   *-
 .%.  #.
  #*:*#
  .*%*.
""",
    1: """
   :%*
  :%%*
 .%%%*
   %%*
   %%*
   %%*
   %%*
   %%%
""",
    7: """
  *%%%%%
  :--=%*
     *%
   -+%#=
  *%%%%*
   +%-
  .%*
  -%:
""",
}


def main() -> int:
    """Run the demonstration; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--down", action="store_true", help="stop Wherry at the end")
    parser.add_argument("--seed", type=int, default=0, help="how the images are split")
    parser.add_argument("--timeout", type=float, default=600, help="seconds to wait at the most")
    options = parser.parse_args()
    # Between the lines of the commands, also where the output goes into a file.
    sys.stdout.reconfigure(line_buffering=True)
    clock = Stopwatch()
    wherry("up")
    clock.lap("Wherry is up")
    wherry("apply", "-f", str(FOLDER))
    clock.lap("the manifests are applied")
    wherry("env", "build", "digits-lab")
    clock.lap("the image is built")
    first = follow(options)
    clock.lap(f"the pipeline has run: {tasks(first)}")
    show(first.outputs)
    again = follow(options)
    clock.lap(f"and once more: {tasks(again)}")
    address = served()
    ask(address)
    clock.lap("the server is asked")
    wherry("pipelines", "lineage", f"{again.name}/predict/predictions", "-n", NAMESPACE)
    clock.lap("the lineage of its predictions is told")
    if options.down:
        wherry("down")
    else:
        print_next(first, address)
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


def follow(options: argparse.Namespace) -> Run:
    """Run the pipeline, showing how far it is; return its run once it has succeeded."""
    settings = {"namespace": NAMESPACE, "service_account": "pipeline"}
    started = run(pipeline.digits, {"seed": options.seed}, **settings)
    try:
        started.follow(timeout=options.timeout)
    except (FailedRunError, TimeoutError) as error:
        wherry("why", f"pipelinerun/{started.name}", "-n", NAMESPACE)
        sys.exit(f"demo: {error}")
    return started


def tasks(ended: Run) -> str:
    """Return how many tasks were done, and how many of them by an earlier run."""
    counts = ended.manifest["status"]["tasks"]
    return f"{counts['total']} tasks, {counts.get('cached', 0)} of them from cache"


def show(outputs: dict) -> None:
    """Print how good the model is."""
    print(
        f"    settings: {', '.join(f'{name} {value:g}' for name, value in outputs['settings'].items())}"
    )
    print(f"    accuracy: {outputs['accuracy']:.4f}, as served: {outputs['served_accuracy']:.4f}")
    print(f"    area under the ROC curve: {outputs['roc_auc']:.4f}")
    print("    which digit (row) was taken for which (column):")
    print("        " + "".join(f"{digit:4}" for digit in range(10)))
    for digit, row in enumerate(outputs["confusion"]):
        print(f"    {digit:4}" + "".join(f"{count or '.':>4}" for count in row))


def served() -> str:
    """Return the address of the model for those who are not in a pod."""
    command = [*WHERRY, "get", "service", "digits", "-n", NAMESPACE, "-o", "json"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    spec = json.loads(found)["spec"]
    return f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}/v1/models/digits"


def ask(address: str) -> None:
    """Send the digits that are drawn above to the server; print what it takes them for."""
    body = json.dumps({"instances": [pixels(drawn) for drawn in DRAWN.values()]}).encode()
    with urllib.request.urlopen(f"{address}:predict", body, timeout=30) as response:
        answers = json.load(response)["predictions"]
    pictures = [drawn.strip("\n").splitlines() for drawn in DRAWN.values()]
    for row in zip(*pictures, strict=True):
        print("    " + "".join("".join(2 * shade for shade in part.ljust(10)) for part in row))
    print("    " + "".join(f"{f'taken for a {answer}':20}" for answer in answers))


def pixels(drawn: str) -> list[int]:
    """Return a drawing as the numbers of an image: 8 rows of 8, from 0 to 16."""
    return [
        2 * SHADES.index(each) for row in drawn.strip("\n").splitlines() for each in row.ljust(8)
    ]


def print_next(ended: Run, address: str) -> None:
    """Say where to look next."""
    home = pathlib.Path(os.environ.get("WHERRY_HOME") or pathlib.Path.home() / ".wherry")
    print(
        f"""
Where to look next (Wherry goes on running):
    export KUBECONFIG={home / "kubeconfig"}
    kubectl get pipelineruns,experiments,pods -n digits
    wherry pipelines get {ended.name} -n digits
    wherry pipelines logs {ended.name} tune -n digits
    wherry pipelines graph {ended.name} -n digits -o run.svg
    curl {address}
    wherry delete namespace/digits                 # with all that is in it
    wherry down                                    # stop everything"""
    )


if __name__ == "__main__":
    sys.exit(main())

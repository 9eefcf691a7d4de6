"""The agent's command line."""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Final

from wherry.pipelines.staging import agent
from wherry.pipelines.workflows.agent.failing import AgentError

_ERRANDS: Final = {
    "fetch": "fetching",
    "deliver": "delivering",
    "resource": "resources",
    "http": "requesting",
    "data": "listing",
    "progress": "following",
}
_FOLDER: Final = "wherry.pipelines.workflows.agent"


def main(words: Sequence[str]) -> int:
    """Do what the first word says; return the exit code, having said why where it is not 0."""
    told = json.loads(os.environ[agent.VARIABLE])
    errand = importlib.import_module(f"{_FOLDER}.{_ERRANDS[words[0]]}")
    try:
        found = errand.run(told, words[1:])
    except AgentError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if found is not None:
        sys.stdout.write(f"{agent.MARK}{json.dumps(found)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

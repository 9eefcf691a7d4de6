"""How the launcher is started: ``python -I -S …/launcher/__main__.py DIRECTORY IDLE_SECONDS``."""

import pathlib
import sys

if __name__ == "__main__":
    # Isolated and without site-packages: for a small process, and so that no file of the user's shadows a module.
    sys.path.append(str(pathlib.Path(__file__).resolve().parents[3]))

    from wherry.kubelet.launcher import daemon

    sys.exit(daemon.main(sys.argv[1], float(sys.argv[2])))

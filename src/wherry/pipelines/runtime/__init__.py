"""What steps import in place of KFP's SDK: the part of it that runs inside a component.

The folder goes onto ``PYTHONPATH`` of pods that know nothing of Wherry. What is in it, other than this
file, uses the standard library only, runs on Python 3.9 and later, and imports its own modules
relatively: here it is ``wherry.pipelines.runtime.kfp``, there it is ``kfp``.
"""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
"""What goes onto the path."""

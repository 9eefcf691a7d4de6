"""`python -m wherry.cli`: the command line where the `wherry` script is not on the path."""

import sys

from wherry.cli.entry import main

sys.exit(main())

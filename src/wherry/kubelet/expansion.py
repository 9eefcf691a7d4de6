"""`$(NAME)` in commands, arguments and variables.

Source: `k8s.io/kubernetes/third_party/forked/golang/expansion`: `$$` stands for `$`, a reference to
a name that is not defined stays as it is, and there is no other syntax.
"""

import re
from collections.abc import Mapping

_TOKEN = re.compile(r"\$(\$|\(([^)]*)\))", re.DOTALL)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return ``text`` with the references to known ``variables`` replaced."""

    def replace(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return variables.get(match[2], match[0])

    return _TOKEN.sub(replace, text)

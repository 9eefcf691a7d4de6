"""kubectl's JSONPath templates: text with paths in braces. Of what a path leads to, all is given, with spaces between.

Source: Kubernetes' ``k8s.io/client-go/util/jsonpath``; ``range`` is left out.
"""

import re
from typing import Any, Final

from wherry.objects import jsonpaths
from wherry.pipelines.workflows.agent.failing import AgentError
from wherry.pipelines.workflows.agent.texts import text

_PART: Final = re.compile(r"\{((?:[^{}'\"]|'[^']*'|\"[^\"]*\")*)\}")
_QUOTED: Final = re.compile(r"'([^']*)'|\"([^\"]*)\"")


def rendered(template: str, held: Any) -> str:
    """Return a template with what its paths lead to; nothing for those that lead nowhere.

    Raises:
        AgentError: a path cannot be read.
    """
    said, at = "", 0
    for match in _PART.finditer(template):
        said += template[at : match.start()] + _value(match[1].strip(), held)
        at = match.end()
    return said + template[at:]


def _value(path: str, held: Any) -> str:
    quoted = _QUOTED.fullmatch(path)
    if quoted:
        return (quoted[1] or quoted[2] or "").replace("\\n", "\n").replace("\\t", "\t")
    if path.split(" ", maxsplit=1)[0] in ("range", "end"):
        raise AgentError(f"jsonPath {{{path}}}: range is not supported; there is jqFilter")
    if not path:
        return text(held)  # the whole of it
    try:
        return " ".join(text(each) for each in jsonpaths.find(path, held))
    except ValueError as error:
        raise AgentError(str(error)) from error

"""The rights that the controllers of Workflows need."""

from typing import Final

from wherry.objects.requests import Object

RULES: Final[tuple[Object, ...]] = (
    {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "verbs": ["create", "get", "list", "patch", "watch"],
    },
    {
        "apiGroups": ["policy"],
        "resources": ["poddisruptionbudgets"],
        "verbs": ["create", "delete", "get"],
    },
)

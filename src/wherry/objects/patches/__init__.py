"""The three kinds of patch that clients send: JSON patch, merge patch, strategic merge patch.

All are pure: they return a new object and leave what they are given as it is.
"""

from wherry.objects.patches.json import MAX_OPERATIONS, json_patch
from wherry.objects.patches.merge import merge_patch
from wherry.objects.patches.strategic import strategic_merge

__all__ = ["MAX_OPERATIONS", "json_patch", "merge_patch", "strategic_merge"]

"""Compiled schemas: what an object of a kind may hold, for built-in kinds and custom ones alike.

`Schema` is the whole interface; `Node` is what strategic merge and server-side apply walk along.
"""

from wherry.objects.schemas.compiling import Dialect, SchemaError
from wherry.objects.schemas.node import ANY, MAX_DEPTH, Node
from wherry.objects.schemas.schema import Schema

__all__ = ["ANY", "MAX_DEPTH", "Dialect", "Node", "Schema", "SchemaError"]

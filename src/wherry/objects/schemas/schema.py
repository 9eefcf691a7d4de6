"""The interface to a compiled schema: decode, default, check, in this order."""

from collections.abc import Collection, Mapping
from typing import Any

from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.schemas import defaulting
from wherry.objects.schemas.checking import Checker
from wherry.objects.schemas.compiling import Compiler, Dialect, settle
from wherry.objects.schemas.decoding import Scan
from wherry.objects.schemas.node import Node


class Schema:
    """What objects of one kind and version may hold. Read-only, and safe to share.

    Attributes:
        root: The compiled schema, for walkers such as strategic merge.
    """

    __slots__ = ("root",)

    def __init__(self, root: Node) -> None:
        self.root = root

    @classmethod
    def compile(
        cls,
        openapi: Mapping[str, Any],
        definitions: Mapping[str, Any] | None = None,
        *,
        dialect: Dialect = Dialect.STRUCTURAL,
        resource: bool = True,
    ) -> "Schema":
        """Compile one schema.

        Args:
            openapi: An OpenAPI v3 schema: `openAPIV3Schema` of a custom resource definition, or,
                for the native dialect, a published definition.
            definitions: Native definitions by name, for references and for `ObjectMeta`. Without
                them, metadata is taken as it is.
            dialect: Whose rules it follows.
            resource: Whether a structural schema describes whole objects, which have apiVersion,
                kind and metadata whether it says so or not.

        Raises:
            SchemaError: the schema is malformed; the message names the place.
        """
        compiler = Compiler(definitions or {})
        if dialect is Dialect.NATIVE:
            root = compiler.native(openapi)
        else:
            root = compiler.structural(openapi, resource=resource)
        settle((root,))
        return cls(root)

    def decode(self, obj: Object) -> list[str]:
        """Bring an object into the shape of its kind, in place.

        Drops unknown fields and meaningless nulls; writes times and quantities of built-in kinds in
        Kubernetes' form. To be called first, on anything that comes from outside.

        Returns:
            Paths of the unknown fields that were dropped, e.g. ``spec.foo``; at most 100.

        Raises:
            BadRequestError: Go could not have read it (``json: cannot unmarshal string into Go
                struct field DeploymentSpec.spec.replicas of type int32``), or it nests more than
                `MAX_DEPTH` levels deep. The object may have been changed in part.
        """
        scan = Scan(edit=True, refuse=True)
        scan.run(self.root, obj)
        return scan.unknown

    def unknown(self, obj: Object) -> list[str]:
        """Return the paths of unknown fields, at most 100, and change nothing.

        Raises:
            BadRequestError: the object nests too deep.
        """
        scan = Scan(edit=False, refuse=False)
        scan.run(self.root, obj)
        return scan.unknown

    def prune(self, obj: Object) -> None:
        """Drop unknown fields and meaningless nulls in place, whatever else is wrong.

        Raises:
            BadRequestError: the object nests too deep.
        """
        Scan(edit=True, refuse=False).run(self.root, obj)

    def default(self, obj: Object) -> None:
        """Set the defaults of the schema in place. The published schemas of built-in kinds have none."""
        if self.root.needs_default:
            defaulting.apply(self.root, obj)

    def check(self, obj: Any, *, path: str = "", apart: Collection[str] = ()) -> list[Cause]:
        """Return what is wrong with a decoded object, at most about 100 causes; empty if nothing is.

        Args:
            obj: The object, or a part of one.
            path: Where the part stands, e.g. ``spec.template``; empty for a whole object.
            apart: Fields at its top that are left out.

        Raises:
            BadRequestError: the object nests too deep.
        """
        if not self.root.needs_check:
            return []
        checker = Checker(apart)
        checker.run(self.root, obj, ((), path) if path else ())
        return checker.causes

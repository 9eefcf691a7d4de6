"""ChainerJob as the training component takes it in: its kind and its rights."""

from typing import Final

from wherry.objects.copies import copied
from wherry.objects.declared.kind import Column, Kind, Version, condition
from wherry.objects.requests import Object
from wherry.training.chainer import admission, kinds


class _Kind(Kind):
    """A kind whose containers have a name where their user gives none.

    APIs differ in whether they look for what has to be there before a webhook may fill it in.
    """

    def definition(self) -> Object:
        """Return the CustomResourceDefinition."""
        made = Kind.definition(self)
        (version,) = made["spec"]["versions"]
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"] = copied(
            version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        )
        parts = spec["properties"]
        for part in (parts["master"], parts["workerSets"]["additionalProperties"]):
            pod = part["properties"]["template"]["properties"]["spec"]
            container = pod["properties"]["containers"]["items"]
            container["properties"]["name"]["default"] = kinds.CONTAINER
        return made


KIND: Final = _Kind(
    resource=kinds.CHAINER_JOBS,
    versions=(
        Version(
            name=kinds.CHAINER_JOBS.version,
            spec=kinds.ChainerJobSpec,
            status=kinds.ChainerJobStatus,
            columns=(
                Column("Complete", "string", condition(kinds.COMPLETE)),
                Column("Failed", "string", condition(kinds.FAILED)),
            ),
        ),
    ),
    default=admission.default,
    validate=admission.validate,
    warnings=admission.warnings,
)
RULES: Final[tuple[Object, ...]] = (
    {
        "apiGroups": ["apps"],
        "resources": ["statefulsets"],
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
    },
)

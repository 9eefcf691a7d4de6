"""JobSet as the training component takes it in: its kind and its controller."""

from typing import Final

from wherry.objects.declared.kind import Column, Kind, Version, condition
from wherry.objects.requests import Object
from wherry.training.jobset import admission, kinds

KIND: Final = Kind(
    resource=kinds.JOB_SETS,
    versions=(
        Version(
            name=kinds.VERSION,
            spec=kinds.JobSetSpec,
            status=kinds.JobSetStatus,
            columns=(
                Column("TerminalState", "string", ".status.terminalState"),
                Column("Restarts", "string", ".status.restarts"),
                Column("Completed", "string", condition(kinds.COMPLETED)),
                Column("Suspended", "string", ".spec.suspend"),
            ),
        ),
    ),
    default=admission.default,
    validate=admission.validate,
)
RULES: Final[tuple[Object, ...]] = (
    {
        "apiGroups": ["batch"],
        "resources": ["jobs", "jobs/status"],
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
    },
    {
        "apiGroups": [""],
        "resources": ["services"],
        "verbs": ["create", "delete", "get", "list", "watch"],
    },
    {
        "apiGroups": [""],
        "resources": ["persistentvolumeclaims"],
        "verbs": ["create", "get", "list", "watch"],
    },
)

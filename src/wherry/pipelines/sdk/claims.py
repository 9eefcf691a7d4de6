"""Claims that a pipeline makes and deletes, as tasks: ``CreatePVC`` and ``DeletePVC`` of ``kfp.kubernetes``."""

from typing import Final

from wherry.pipelines.ir.messages import ParameterType
from wherry.pipelines.sdk.channels import Port
from wherry.pipelines.sdk.components import Component
from wherry.pipelines.sdk.interfaces import Interface

_TEXT: Final = Port(ParameterType.STRING)
_MAYBE: Final = Port(ParameterType.STRING, optional=True)
_FIELDS: Final = Port(ParameterType.STRUCT, optional=True)

CreatePVC: Final = Component(
    "createpvc",
    Interface(
        {
            "access_modes": Port(ParameterType.LIST),
            "annotations": _FIELDS,
            "data_source": _FIELDS,
            "pvc_name": _MAYBE,
            "pvc_name_suffix": _MAYBE,
            "size": _TEXT,
            "storage_class_name": Port(ParameterType.STRING, optional=True, default=""),
            "volume_name": _MAYBE,
        },
        {"name": _TEXT},
    ),
    {"container": {"image": "argostub/createpvc"}},
)
"""Makes a claim; its output ``name`` is what ``mount_pvc`` takes."""

DeletePVC: Final = Component(
    "deletepvc",
    Interface({"pvc_name": _TEXT}, {}),
    {"container": {"image": "argostub/deletepvc"}},
)
"""Deletes a claim."""

"""Wherry: the machine-learning toolkit of Kubeflow, anew, on its own or anyone's Kubernetes."""

import importlib
from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "train": "wherry.training.sdk.starting",
    "attach": "wherry.training.sdk.starting",
    "report": "wherry.client.functions.in_pod",
    "tune": "wherry.tuning.sdk.starting",
    "Training": "wherry.training.sdk.training",
    "TrainingError": "wherry.training.sdk.errors",
    "FailedError": "wherry.training.sdk.errors",
    "PackagingError": "wherry.client.functions.errors",
    "Search": "wherry.tuning.sdk.search",
    "TuningError": "wherry.tuning.sdk.errors",
    "FailedSearchError": "wherry.tuning.sdk.errors",
    "find_search": "wherry.tuning.sdk.starting",
    "uniform": "wherry.tuning.sdk.space",
    "log_uniform": "wherry.tuning.sdk.space",
    "normal": "wherry.tuning.sdk.space",
    "integers": "wherry.tuning.sdk.space",
    "choice": "wherry.tuning.sdk.space",
}
"""What users import from here, and where it is: loaded when it is first used."""

__all__ = ["__version__"]
__all__ += list(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})

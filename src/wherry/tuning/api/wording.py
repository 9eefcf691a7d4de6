"""What is wrong with settings, in the words of Katib's services: programs and tests compare them. Pure.

Of what Katib has no words for, ours are told.

Source: kubeflow/katib 0.19, ``pkg/suggestion/v1beta1/*/service.py``, ``pkg/earlystopping/v1beta1``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from wherry.objects.errors import Cause

_SETTING: Final = re.compile(r"spec\.\w+\.algorithmSettings\[(.+)\]")
_UNKNOWN: Final = "FieldValueNotSupported"
_BELOW_ZERO: Final = "should be great or equal than zero"
_BOUNDS: Final = {
    "gamma": "should be in the range of (0, 1)",
    "prior_weight": "should be great than zero",
    "n_EI_candidates": "should be great than zero",
    "n_initial_points": _BELOW_ZERO,
    "n_startup_trials": _BELOW_ZERO,
    "n_ei_candidates": _BELOW_ZERO,
    "random_state": _BELOW_ZERO,
    "min_trials_required": "must be greater than zero (>0)",
    "start_step": "must be greater or equal than one (>=1)",
}
"""What is said of a number that is out of bounds, by the setting's name."""
_WORDS: Final = frozenset({"base_estimator", "acq_func", "acq_optimizer"})


def details(algorithm: str, settings: Mapping[str, str], causes: Sequence[Cause]) -> str:
    """Return the details of a refusal.

    Args:
        algorithm: Its name.
        settings: As they were sent.
        causes: What is wrong, one at least.
    """
    return "; ".join(_told(algorithm, settings, each) for each in causes)


def _told(algorithm: str, settings: Mapping[str, str], cause: Cause) -> str:
    found = _SETTING.fullmatch(cause.field)
    name = found[1] if found else ""
    if name not in settings:
        return f"{cause.field}: {cause.message}"
    value = settings[name]
    if cause.reason == _UNKNOWN:
        return f"unknown setting {name} for algorithm {algorithm}"
    if name in _WORDS:
        return f"{name} {value} is not supported in Bayesian optimization"
    if name in _BOUNDS and _is_number(value):
        return f"{name} {_BOUNDS[name]}"
    return f"failed to validate {name}({value}): {cause.message}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

"""Headers by which a front tells the server behind it who calls, and that it may be believed. Pure.

Source: the names of users and groups are those of Kubernetes' authenticating proxies.
"""

from typing import Final

PROOF: Final = "X-Wherry-Front"
"""Holds what only the front and the server know."""
USER: Final = "X-Remote-User"
GROUP: Final = "X-Remote-Group"
"""Once for each group."""
USER_ID: Final = "kubeflow-userid"
"""As Kubeflow's gateway calls the user."""

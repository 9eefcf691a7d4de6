"""Wherry: the machine-learning toolkit of Kubeflow, anew, on its own or anyone's Kubernetes."""

__version__ = "0.1.0"

"""Pipelines: graphs of containers, as Kubeflow Pipelines compiles them, run without drivers."""

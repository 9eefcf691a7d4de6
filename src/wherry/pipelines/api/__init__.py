"""The service that clients of Kubeflow Pipelines know: pipelines, experiments, runs and schedules.

What can be called is told once, by `methods` and `messages`; REST, gRPC and the published description
come from there. Handlers know nothing of how a call came.
"""

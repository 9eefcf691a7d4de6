"""Trainer v2 (``trainer.kubeflow.org/v1alpha1``): a TrainJob says what to train, a runtime how.

Of the two a JobSet is made, which runs.
"""

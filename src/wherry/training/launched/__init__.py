"""`MPIJob` of ``kubeflow.org/v2beta1``: workers that wait, and a batch Job that launches over them.

The kind is shared with v1 (`wherry.training.frameworks.mpi`), which runs its launcher as a pod.
"""

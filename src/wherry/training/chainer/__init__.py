"""`ChainerJob` of ``kubeflow.org/v1alpha1``: a master that launches over sets of workers by MPI.

Chainer itself ended with 7.8.1; its jobs are here for manifests that are still about.
"""

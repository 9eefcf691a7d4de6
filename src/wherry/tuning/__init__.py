"""Tuning: hyperparameters and architectures, from Katib's manifests and from Python.

Read `kinds.py` (what users write), `algorithm.py` (what a search algorithm is), `collector.py` (where
metrics come from), then `controller/` (who brings them together).
"""

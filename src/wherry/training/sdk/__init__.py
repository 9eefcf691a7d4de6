"""Training from Python: `train` a function, follow it, get its result.

Read `starting.py` first, then `training.py` (what one can do with a training); `in_pod.py` is what
runs in the pods, and `frames.py` how that speaks.
"""

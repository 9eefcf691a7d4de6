"""Training from Python: `train` a function, follow it, get its result.

Read `starting.py` first, then `training.py` (what one can do with a training); what runs in the pods
is `client/functions/in_pod.py`, and `frames.py` how that speaks.
"""

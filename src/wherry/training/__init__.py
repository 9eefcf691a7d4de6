"""Training jobs: distributed training of each framework, from the manifests that people have.

Read `framework.py` first: what a framework is. Then `build.py` (a job becomes pods and services),
`policies/` (what may end, restart or suspend it), `controller.py` (one step at a time).
"""

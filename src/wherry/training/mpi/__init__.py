"""MPI jobs: what launchers and workers of either version are given, and how the one starts the other.

`mpirun` reaches its workers through `rsh_agent.py`, which needs no ssh, no keys and no daemon.
"""

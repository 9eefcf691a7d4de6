"""Warm start: a process that has done its imports forks a container's main process.

`choice` and `command` decide, in the control plane, what may start warm. Everything else runs in the environment's own
interpreter, which may be another version than ours: it imports the standard library and the launcher's modules only,
and is out of sight (of `sys.modules`, `sys.path`, stack frames) when the user's program begins.
"""

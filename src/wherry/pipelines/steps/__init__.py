"""From a task that is to run to its pod, and from an ended pod to the task's outputs. Pure."""

"""From a node of a Workflow that is to run to its pod, and from an ended pod to the node's outputs."""

"""How artifacts get to a step and from it: directly, from a folder that it mounts, or copied."""

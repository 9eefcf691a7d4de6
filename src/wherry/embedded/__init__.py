"""Everything in one process: the API, the built-in controllers and the node of `wherry up`."""

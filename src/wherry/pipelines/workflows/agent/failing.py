"""What goes wrong in an agent."""


class AgentError(Exception):
    """An errand cannot be done; the message says which and why."""

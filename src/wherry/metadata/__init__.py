"""What was made by what from what: artifacts, executions, contexts, and where artifacts are kept."""

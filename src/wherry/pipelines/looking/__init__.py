"""What people are shown of runs, of what they made, and of how two of them differ. Pure."""

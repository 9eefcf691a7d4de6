"""The audit log: who did what, when, and what came of it, for those who have to be able to tell."""

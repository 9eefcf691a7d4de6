"""The controller of Workflows: what is theirs, beside what they share with runs of compiled pipelines."""

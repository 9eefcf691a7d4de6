"""What may end, restart, suspend or clean up a job: a file for each rule. Pure."""

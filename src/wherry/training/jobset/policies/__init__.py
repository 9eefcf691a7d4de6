"""What ends, restarts, orders, suspends or cleans up a JobSet: a file for each rule. Pure."""

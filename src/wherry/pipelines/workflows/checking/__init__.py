"""What is wrong with workflows, as far as it can be told before they run. Pure."""

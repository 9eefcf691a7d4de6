"""What is kept of experiments and runs when their objects, pods and logs are gone."""

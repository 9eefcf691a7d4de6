"""What a cluster's own controllers do, for the embedded API, where there is no cluster."""

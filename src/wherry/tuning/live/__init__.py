"""What is done with the metrics of a trial while it runs; `collecting` is the way in."""

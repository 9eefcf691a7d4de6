"""The loop that makes what is into what should be: caches, queues, workers, events, election."""

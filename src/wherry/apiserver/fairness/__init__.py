"""API Priority and Fairness: whose request goes first when there are more than the server can do at once."""

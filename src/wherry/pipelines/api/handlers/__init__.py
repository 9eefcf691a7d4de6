"""What answers the methods, by subject. Each module ends with its handlers by the methods' keys."""

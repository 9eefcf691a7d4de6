"""What trials have reported: kept in a database, summarised for the Trial's status."""

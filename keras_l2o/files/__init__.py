"""Files that are written as a whole, by one process at a time."""

"""Files that are there whole, and that one process at a time writes."""

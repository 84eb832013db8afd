"""What the commands show of their results."""

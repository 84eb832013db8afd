"""What the page of results says of each benchmark, and of what was aimed at."""

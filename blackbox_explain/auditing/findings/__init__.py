"""What an audit looks for in its table: a file for each family."""

"""What rules claim about a black box."""

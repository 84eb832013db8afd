"""How many rows are worked on together, and what becomes of a batch that fails."""

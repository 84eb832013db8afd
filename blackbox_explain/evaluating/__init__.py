"""How good explanations are, and whether they may be compared."""

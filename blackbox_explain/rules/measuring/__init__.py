"""How often a rule is wrong, and which rule is wrong seldom enough."""

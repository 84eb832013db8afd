"""Pictures of results and of rules."""

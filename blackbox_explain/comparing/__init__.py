"""Whether two models are the same, for the same reasons."""

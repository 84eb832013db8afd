"""Whether what a saved result claims still holds for a model."""

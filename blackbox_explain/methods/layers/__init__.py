"""Methods that look at the layers inside of a model."""

"""Methods that look into a model: maps of the values and gradients of its layers."""

"""Methods that a gradient is enough for: of the image, of noisy copies of it, along a path to it."""

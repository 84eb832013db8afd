"""A traced TensorFlow model: its operations, what it begins and ends with, and gradients through it."""

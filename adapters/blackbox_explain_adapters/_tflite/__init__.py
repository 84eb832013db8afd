"""TensorFlow Lite files as black boxes that give scores."""

"""Methods that scores are enough for: they delete parts of the image, and see what becomes of the score."""

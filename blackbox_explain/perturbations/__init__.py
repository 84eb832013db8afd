"""What stands in for a deleted pixel: blur, a constant, noise, or an image of the user's own (section 4.1)."""

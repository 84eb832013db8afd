"""Methods beside those of other packages, and on real networks."""

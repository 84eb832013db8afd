"""The paper's method: the smallest mask whose deletion destroys the score, or whose preservation keeps it (eq. 4)."""

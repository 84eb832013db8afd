"""An image alone on a CPU: it gets the bits that it gets in company, by as few rows as that takes."""

"""The result: what was found, what it does to the score, how it was made, and what is to be doubted."""

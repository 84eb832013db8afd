"""One experiment of the paper a file; each has ``run(plan)``, which measures what is missing and writes the result."""

"""One experiment of the paper a file, each with ``run(plan)``, and beside it what one of them alone needs.

``run`` measures what is not finished yet, and writes the result.
"""

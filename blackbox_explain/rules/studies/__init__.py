"""Whole investigations of a black box by many rules: what the command line runs."""

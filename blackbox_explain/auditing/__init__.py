"""Runs over many photos, in which what is finished is kept."""

"""Rules that predict a black box."""

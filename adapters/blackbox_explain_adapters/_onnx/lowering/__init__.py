"""Passes that rewrite a graph in operators that can be differentiated."""

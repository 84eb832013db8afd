"""The last activation of a PyTorch module: from the graph of its outputs, or seen while it runs."""

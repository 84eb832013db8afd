"""From a graph to the graph of its gradient."""

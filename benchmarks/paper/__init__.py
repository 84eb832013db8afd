"""The paper's experiments, on its own network: ``python -m benchmarks.paper fig8``."""

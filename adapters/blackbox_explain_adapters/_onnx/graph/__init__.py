"""ONNX graphs: their nodes, constants and weights, what they compute, and how nodes are written."""

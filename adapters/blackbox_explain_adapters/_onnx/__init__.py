"""ONNX classifiers, differentiated into a graph that any ONNX Runtime runs."""

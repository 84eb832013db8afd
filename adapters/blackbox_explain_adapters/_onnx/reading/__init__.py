"""What an ONNX file says: its input, its scores, its first layers and its last."""

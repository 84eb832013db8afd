"""What adapters cost: gradients of ONNX models, exports of one network, a step of TensorFlow."""

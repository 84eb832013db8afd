"""PyTorch modules, TorchScript and exported programs as black boxes."""

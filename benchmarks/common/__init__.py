"""What several benchmarks share: photos, masked images, the machine, loops beside the model, variants of rankings."""

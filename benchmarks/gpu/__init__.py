"""Everything that is measured on a GPU, in one command and some minutes: ``python -m benchmarks.gpu``.

It needs the sources and the two weight files; PyTorch, ONNX Runtime and NumPy are enough, and what is absent besides is
skipped and named.  ``--device cpu`` runs the same on the CPU, each part of CUDA replaced by its twin: events by the
clock, graphs by plain calls, compiled code by the code itself.
"""

"""Everything that is measured on a GPU, in one command and some minutes: ``python -m benchmarks.gpu``.

It needs the sources and the two weight files; PyTorch, ONNX Runtime and NumPy are enough, and what is absent besides is
taken from packages that keep a copy of it, or skipped and named.  The weights of GoogLeNet are no part of the sources:
they are looked for in ``$BLACKBOX_EXPLAIN_DATA``, in ``build/data``, which git ignores and which can be taken along
with the sources, and in ``shared/data``.  ``--device cpu`` runs the same on the CPU, each part of CUDA replaced by its
twin: events by the clock, graphs by plain calls, compiled code by the code itself.
"""

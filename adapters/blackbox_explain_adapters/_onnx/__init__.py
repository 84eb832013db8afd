"""ONNX classifiers, differentiated into a graph that any ONNX Runtime runs.

A model's way, from top to bottom:

- `wrapping` makes a box of it: reads it, finds out how it has to be asked, writes its gradient graph, tries that out.
- `reading` says what is in the file: its input, its scores, its first layers and its last.
- `probing` runs it on plain images: what shape its outputs have, and what turns them into scores.
- `pipeline` puts preprocessing before it and the activation behind it.
- `lowering` rewrites it, pass by pass, in operators that can be differentiated.
- `backward` writes the gradient graph: a `tape` of nodes, by one rule for each operator.
- `cache` keeps the gradient graph, `session` runs it, `box` answers.

All of them stand on `graph`: nodes, constants, large weights, and what a run with every tensor exposed tells.
"""

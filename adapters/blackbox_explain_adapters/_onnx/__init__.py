"""ONNX classifiers, differentiated into a graph that any ONNX Runtime runs.

From the outside in: `wrapping` makes a box (`box`) of a model that `files` reads, after `signature` and `probe` have
found out what it reads and answers: which tensor holds the scores (`outputs`, `reduction`), what the graph ends in
(`ending`), what it does to pixels first (`leading`), what makes scores depend on more than an image (`training`), and
where there may be no slope (`slopes`).  `pipeline` puts preprocessing and activation around it; `recipe` lets
`differentiate` write the gradient graph, which `trial` tries out, `cache` keeps and `session` runs.  Large `weights`
are held once, beside all graphs; `parsing` reads them straight from the file.

Before rules apply, a model is brought into a plain form: `prepare`, `widening`, `branches`, `loops`, `conversion`, and
by `rewriting` of what has no rule: `fused`, `classical`, `recurrent` (as `scans`), `definitions`.  `observe` runs it
with every tensor exposed (`shortened`, `other_batches`), `activity` follows the image through it, and `rules` write the
backward half on a `tape`.
"""

"""Rules that carry relevance back in place of a gradient: layer-wise relevance propagation and excitation backprop.

What is carried is the relevance R of each tensor itself, in its shape; the starting relevance is the weights of the
scores.  A rule takes the relevance of a node's output, and returns that of its inputs.
"""

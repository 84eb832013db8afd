"""What a model is: images in, class scores out, gradients if it has any; how one is wrapped, and how it is asked."""

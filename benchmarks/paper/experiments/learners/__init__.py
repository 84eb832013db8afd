"""What experiments learn with besides the methods: a mask under several perturbations, a classifier of maps."""

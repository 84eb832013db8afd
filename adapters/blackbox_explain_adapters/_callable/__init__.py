"""Any function from images to scores as a black box."""

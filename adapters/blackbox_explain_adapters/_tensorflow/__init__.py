"""TensorFlow and Keras: models, modules, functions, SavedModels and their files, as black boxes with gradients."""

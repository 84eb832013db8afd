"""TensorFlow and Keras: models, modules, functions, SavedModels and their files, as black boxes with gradients."""

from blackbox_explain_adapters._quiet import quiet_tensorflow

# Before any module in here imports it.
quiet_tensorflow()

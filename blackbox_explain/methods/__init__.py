"""Methods, in a folder for each need: every one says what matters in images for a target, in the frame of `Method`."""

from blackbox_explain.methods.by_name import method_of, methods_for
from blackbox_explain.methods.method import Attribution, Budget, Method

__all__ = ["Attribution", "Budget", "Method", "method_of", "methods_for"]

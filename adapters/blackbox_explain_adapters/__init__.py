"""Adapters: one framework each, found through entry points and imported only when a model needs them."""

"""The catalogue of relations."""

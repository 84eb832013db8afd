"""Options that several commands share, declared once."""

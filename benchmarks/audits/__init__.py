"""How fast audits are, and what they survive."""

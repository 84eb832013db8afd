"""``python -m blackbox_explain`` is ``blackbox-explain``."""

from blackbox_explain.cli import main

main()

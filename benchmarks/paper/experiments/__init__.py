"""One experiment of the paper a file, each with ``run(plan)``.

``run`` measures what is not finished yet, and writes the result.
"""

from typing import Literal, get_args

__all__ = ["EXPERIMENTS", "Experiment"]

Experiment = Literal[
    "fig1",
    "fig2",
    "fig3",
    "fig5",
    "fig6",
    "fig7",
    "fig8",
    "boxes",
    "table1",
    "table2",
    "parts",
    "adversarial",
    "sanity",
]
EXPERIMENTS: tuple[Experiment, ...] = get_args(Experiment)
"""In the order of the page."""

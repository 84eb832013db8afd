"""The contracts of black boxes, methods and metrics as checks, for those here and for yours.

Three lines hold an adapter to it::

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_adapter(check):
        check(Case(lambda: blackbox_explain.wrap(model, shape=(3, 32, 32))))

One without a gradient is parametrized by ``SCORE_CHECKS``.  A plain script calls ``check_black_box(Case(...))``.
One line holds a method to its own: ``check_method("my-method", box)``; and a metric: ``check_metric("my-metric", box,
explanation)``.  Nothing here needs pytest.
"""

from __future__ import annotations

from blackbox_explain.testing.answers import (
    check_activation,
    check_company,
    check_determinism,
    check_empty_batch,
    check_preprocessing,
    check_protocol,
    check_scores,
    check_types,
    check_value_range,
)
from blackbox_explain.testing.case import Case, Check
from blackbox_explain.testing.gradient import (
    check_gradient_differences,
    check_gradient_form,
    check_gradient_linear,
    check_gradient_promised,
)
from blackbox_explain.testing.logits import check_logits
from blackbox_explain.testing.methods import check_method
from blackbox_explain.testing.metrics import check_metric
from blackbox_explain.testing.randomized import check_randomized
from blackbox_explain.testing.use import (
    check_errors,
    check_explain,
    check_inputs_left_alone,
    check_memory_layout,
    check_model_untouched,
    check_pickling,
    check_threads,
)

__all__ = [
    "CHECKS",
    "GRADIENT_CHECKS",
    "SCORE_CHECKS",
    "Case",
    "check_black_box",
    "check_method",
    "check_metric",
]

SCORE_CHECKS: tuple[Check, ...] = (
    check_protocol,
    check_scores,
    check_types,
    check_company,
    check_empty_batch,
    check_memory_layout,
    check_inputs_left_alone,
    check_determinism,
    check_preprocessing,
    check_value_range,
    check_activation,
    check_gradient_promised,
    check_model_untouched,
    check_errors,
    check_pickling,
    check_threads,
    check_explain,
    check_randomized,
)
"""Every promise of a black box without a gradient, for ``pytest.mark.parametrize``."""

GRADIENT_CHECKS: tuple[Check, ...] = (
    check_gradient_form,
    check_gradient_linear,
    check_gradient_differences,
    check_logits,
)
"""What a gradient promises beside; they ask nothing of a case without one."""

CHECKS: tuple[Check, ...] = (*SCORE_CHECKS, *GRADIENT_CHECKS)
"""Every promise of a black box with a gradient."""


def check_black_box(case: Case) -> None:
    """Run every check that asks something of the case.

    Raises
    ------
    AssertionError
        If any failed, with the messages of all that did.
    """
    failures: list[str] = []
    checks = CHECKS if case.gradient else SCORE_CHECKS
    for check in checks:
        try:
            check(case)
        except AssertionError as failure:
            failures.append(f"{check.__name__}: {failure}")
    if failures:
        raise AssertionError(f"{len(failures)} of {len(checks)} checks failed\n" + "\n".join(failures))

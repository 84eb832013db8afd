"""The contract of black boxes as checks, for the adapters here and for yours.

Three lines hold an adapter to it::

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_adapter(check):
        check(Case(lambda: blackbox_explain.wrap(model, shape=(3, 32, 32))))

A plain script calls ``check_black_box(Case(...))``.  Nothing here needs pytest.
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
    "Case",
    "check_black_box",
]

CHECKS: tuple[Check, ...] = (
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
    check_gradient_form,
    check_gradient_linear,
    check_gradient_differences,
    check_model_untouched,
    check_errors,
    check_pickling,
    check_threads,
    check_explain,
)
"""Every promise, for ``pytest.mark.parametrize``.  Those of gradients ask nothing of a case without one."""


def check_black_box(case: Case) -> None:
    """Run every check.

    Raises
    ------
    AssertionError
        If any failed, with the messages of all that did.
    """
    failures: list[str] = []
    for check in CHECKS:
        try:
            check(case)
        except AssertionError as failure:
            failures.append(f"{check.__name__}: {failure}")
    if failures:
        raise AssertionError(f"{len(failures)} of {len(CHECKS)} checks failed\n" + "\n".join(failures))

"""Which errors mean that memory ran out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blackbox_explain.box.batches.splitting import is_out_of_memory
from blackbox_explain.errors import OutOfMemoryError

MUCH = 2**55


def test_what_libraries_raise_where_memory_runs_out() -> None:
    for allocate in (lambda: np.zeros(MUCH), lambda: torch.zeros(MUCH)):
        with pytest.raises((MemoryError, RuntimeError)) as raised:
            allocate()
        assert is_out_of_memory(raised.value)
    for error in (torch.cuda.OutOfMemoryError(), OutOfMemoryError("it ran out")):
        assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "text",
    [
        "DefaultCPUAllocator: not enough memory: you tried to allocate 400 bytes.",
        "MPS backend out of memory (MPS allocated: 8 GB)",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_what_has_no_type_of_its_own(text: str) -> None:
    assert is_out_of_memory(RuntimeError(text))


def test_other_errors() -> None:
    for error in (RuntimeError("shapes do not fit"), ValueError("can't allocate memory")):
        assert not is_out_of_memory(error)

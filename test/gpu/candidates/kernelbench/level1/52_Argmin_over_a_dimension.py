"""Place of the smallest element over a dimension, the first of equals; a NaN counts as the smallest."""

import torch
import triton
import triton.language as tl


@triton.jit
def reduce_kernel(x, y, length, inner, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    outer = tl.program_id(1).to(tl.int64)
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    rows = tl.arange(0, ROWS)
    live = (columns < inner)[None, :]
    best = tl.full((ROWS, BLOCK), float("inf"), dtype=tl.float32)
    place = tl.zeros((ROWS, BLOCK), dtype=tl.int32) + rows[:, None]
    for start in range(0, length, ROWS):
        row = start + rows
        here = outer * length * inner + row.to(tl.int64)[:, None] * inner + columns[None, :]
        value = tl.load(x + here, mask=(row < length)[:, None] & live, other=float("inf"))
        # The first NaN stays.
        better = (best == best) & ((value < best) | (value != value))
        best = tl.where(better, value, best)
        place = tl.where(better, row[:, None], place)
    # Over the rows: NaN before all else, then the smallest, then the first.
    missing = best != best
    any_missing = tl.max(missing.to(tl.int32), axis=0)
    top = tl.min(tl.where(missing, float("inf"), best), axis=0)
    candidate = tl.where(any_missing[None, :] > 0, missing, best == top[None, :])
    found = tl.min(tl.where(candidate, place, 2147483647), axis=0)
    tl.store(y + outer * inner + columns, found.to(tl.int64), mask=columns < inner)


class ModelNew(torch.nn.Module):
    """See the module."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        x = x.contiguous()
        dim = self.dim % x.dim()
        length, inner = x.shape[dim], x.shape[dim + 1 :].numel()
        outer = x.numel() // (length * inner)
        y = torch.empty((*x.shape[:dim], *x.shape[dim + 1 :]), dtype=torch.int64, device=x.device)
        reduce_kernel[(triton.cdiv(inner, 128), outer)](x, y, length, inner, ROWS=32, BLOCK=128, num_warps=8)
        return y

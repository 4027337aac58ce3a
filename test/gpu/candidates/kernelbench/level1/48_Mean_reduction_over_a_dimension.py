"""Mean over a dimension, many columns at a time."""

import torch
import triton
import triton.language as tl


@triton.jit
def reduce_kernel(x, y, length, inner, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    outer = tl.program_id(1).to(tl.int64)
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    rows = tl.arange(0, ROWS)
    live = (columns < inner)[None, :]
    acc = tl.zeros((ROWS, BLOCK), dtype=tl.float32)
    for start in range(0, length, ROWS):
        row = start + rows
        here = outer * length * inner + row.to(tl.int64)[:, None] * inner + columns[None, :]
        acc += tl.load(x + here, mask=(row < length)[:, None] & live, other=0.0)
    tl.store(y + outer * inner + columns, tl.sum(acc, axis=0) / length, mask=columns < inner)


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
        y = torch.empty((*x.shape[:dim], *x.shape[dim + 1 :]), dtype=x.dtype, device=x.device)
        reduce_kernel[(triton.cdiv(inner, 128), outer)](x, y, length, inner, ROWS=32, BLOCK=128, num_warps=8)
        return y

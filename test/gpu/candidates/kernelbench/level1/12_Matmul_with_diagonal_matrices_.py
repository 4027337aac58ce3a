"""Rows of a matrix times the elements of a diagonal."""

import torch
import triton
import triton.language as tl


@triton.jit
def scale_rows_kernel(diagonal, b, out, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(b + row * columns + at, mask=at < columns, other=0.0)
    tl.store(out + row * columns + at, tl.load(diagonal + row) * value, mask=at < columns)


class ModelNew(torch.nn.Module):
    """See the module."""

    def forward(self, A, B):
        B = B.contiguous()
        out = torch.empty_like(B)
        rows, columns = B.shape
        scale_rows_kernel[(rows, triton.cdiv(columns, 4096))](A, B, out, columns, BLOCK=4096, num_warps=8)
        return out

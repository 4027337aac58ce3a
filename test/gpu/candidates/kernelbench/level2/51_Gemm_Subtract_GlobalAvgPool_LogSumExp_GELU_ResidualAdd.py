"""The mean over the features of a linear layer is a matrix times a vector; the logarithm of the sum of exponentials of one number
is that number."""

import torch
import triton
import triton.language as tl


# shared: numerics


@triton.jit
def sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def tanh(x):
    # A series where the quotient would cancel.
    size = tl.abs(x)
    e = tl.exp(-2.0 * size)
    quotient = (1.0 - e) / (1.0 + e)
    square = x * x
    series = x * (1.0 + square * (-0.3333333333 + square * (0.1333333333 + square * (-0.05396825397 + square * 0.02186948854))))
    return tl.where(size < 0.25, series, tl.where(x < 0, -quotient, quotient))


@triton.jit
def gelu(x):
    return 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))


@triton.jit
def mish(x):
    # tanh(log(1 + e)) as a quotient of polynomials in e; beyond 20 it is 1 in float32.
    e = tl.exp(tl.minimum(x, 20.0))
    top = e * (e + 2.0)
    return tl.where(x > 20.0, x, x * (top / (top + 2.0)))


# end of numerics


# shared: rows


@triton.jit
def parts_kernel(a, b, parts, M, K, step, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    part = tl.program_id(1)
    lanes = tl.arange(0, BLOCK)
    low = part * step
    acc = tl.zeros((ROWS, BLOCK), dtype=tl.float32)
    for k in range(low, min(low + step, K), BLOCK):
        at = k + lanes
        vector = tl.load(b + at, mask=at < K, other=0.0)
        here = a + rows.to(tl.int64)[:, None] * K + at[None, :]
        acc += tl.load(here, mask=(rows < M)[:, None] & (at < K)[None, :], other=0.0) * vector[None, :]
    tl.store(parts + part * M + rows, tl.sum(acc, axis=1), mask=rows < M)


@triton.jit
def column_sums_kernel(a, parts, rows, K, step, BLOCK: tl.constexpr, ROWS: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    part = tl.program_id(1)
    low = part * step
    acc = tl.zeros((ROWS, BLOCK), dtype=tl.float32)
    for start in range(low, min(low + step, rows), ROWS):
        row = start + tl.arange(0, ROWS)
        here = a + row.to(tl.int64)[:, None] * K + at[None, :]
        acc += tl.load(here, mask=(row < min(low + step, rows))[:, None] & (at < K)[None, :], other=0.0)
    tl.store(parts + part * K + at, tl.sum(acc, axis=0), mask=at < K)


@triton.jit
def sums_kernel(parts, out, M, count, BLOCK: tl.constexpr):
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK,), dtype=tl.float32)
    for part in range(count):
        acc += tl.load(parts + part * M + rows, mask=rows < M, other=0.0)
    tl.store(out + rows, acc, mask=rows < M)


def column_sums(a):
    """Sums of a matrix's columns: parts by many programs, then their sums."""
    rows, k = a.shape
    step = max(64, triton.cdiv(rows, 16))
    count = triton.cdiv(rows, step)
    parts = torch.empty((count, k), dtype=a.dtype, device=a.device)
    out = torch.empty((k,), dtype=a.dtype, device=a.device)
    column_sums_kernel[(triton.cdiv(k, 256), count)](a, parts, rows, k, step, BLOCK=256, ROWS=16, num_warps=8)
    sums_kernel[(triton.cdiv(k, 128),)](parts, out, k, count, BLOCK=128, num_warps=4)
    return out


def matvec(a, b):
    """A matrix times a vector."""
    m, k = a.shape
    out = torch.empty((m,), dtype=a.dtype, device=a.device)
    parts_kernel[(triton.cdiv(m, 4), 1)](a, b, out, m, k, triton.cdiv(k, 1024) * 1024, ROWS=4, BLOCK=1024, num_warps=8)
    return out


# end of rows


@triton.jit
def shift_kernel(bias, subtract, out, n, BLOCK: tl.constexpr):
    lanes = tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, n, BLOCK):
        live = start + lanes < n
        acc -= tl.load(subtract + start + lanes, mask=live, other=0.0)
        acc += tl.load(bias + start + lanes, mask=live, other=0.0)
    tl.store(out, tl.sum(acc, axis=0))


@triton.jit
def residual_kernel(x, sums, shift, out, n, features, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mean = (tl.load(sums + row) + tl.load(shift)) / features
    value = tl.load(x + row * n + at, mask=at < n, other=0.0)
    tl.store(out + row * n + at, gelu(mean) + value, mask=at < n)


class ModelNew(torch.nn.Module):
    """See the module."""

    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        self.gemm = torch.nn.Linear(in_features, out_features, bias=bias)
        self.subtract = torch.nn.Parameter(torch.randn(out_features))

    def forward(self, x):
        if self.gemm.bias is None:
            raise NotImplementedError("this kernel wants a bias")
        x = x.contiguous()
        rows, n = x.shape
        sums = matvec(x, column_sums(self.gemm.weight))
        shift = torch.empty((), dtype=x.dtype, device=x.device)
        features = self.subtract.numel()
        shift_kernel[(1,)](self.gemm.bias, self.subtract, shift, features, BLOCK=4096, num_warps=8)
        out = torch.empty_like(x)
        residual_kernel[(rows, triton.cdiv(n, 4096))](x, sums, shift, out, n, features, BLOCK=4096, num_warps=8)
        return out

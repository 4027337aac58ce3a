"""A recurrent net: what comes from the inputs is one product for all steps, the outputs are one product for all steps; between them
one program for each row of the batch walks through the steps."""

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


@triton.jit
def finish(acc, columns, live, at, inside, vector, s0, s1):
    return acc


# shared: matmul


@triton.jit
def matmul_kernel(
    a, b, c, bias, vector, M, N, K, sab, sam, sak, sbb, sbk, sbn, s0, s1,
    HAS_BIAS: tl.constexpr, EVEN_K: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    # Tiles in groups of rows, so that those that run together share what the second level of cache holds.
    tiles_m, tiles_n = tl.cdiv(M, BM), tl.cdiv(N, BN)
    program, batch = tl.program_id(0), tl.program_id(1).to(tl.int64)
    first = program // (GROUP * tiles_n) * GROUP
    rows = min(tiles_m - first, GROUP)
    tile_m = first + program % (GROUP * tiles_n) % rows
    tile_n = program % (GROUP * tiles_n) // rows
    rm = tile_m * BM + tl.arange(0, BM)
    rn = tile_n * BN + tl.arange(0, BN)
    rk = tl.arange(0, BK)
    at_a = a + batch * sab + rm.to(tl.int64)[:, None] * sam + rk.to(tl.int64)[None, :] * sak
    at_b = b + batch * sbb + rk.to(tl.int64)[:, None] * sbk + rn.to(tl.int64)[None, :] * sbn
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for k in range(0, K, BK):
        if EVEN_K:
            x = tl.load(at_a, mask=(rm < M)[:, None], other=0.0)
            y = tl.load(at_b, mask=(rn < N)[None, :], other=0.0)
        else:
            x = tl.load(at_a, mask=(rm < M)[:, None] & (rk < K - k)[None, :], other=0.0)
            y = tl.load(at_b, mask=(rn < N)[None, :] & (rk < K - k)[:, None], other=0.0)
        # Three products of TF32 parts: as exact as float32, on the tensor cores.
        acc = tl.dot(x, y, acc, input_precision="tf32x3")
        at_a += BK * sak
        at_b += BK * sbk
    if HAS_BIAS:
        acc += tl.load(bias + rn, mask=rn < N, other=0.0)[None, :]
    at = batch * M * N + rm.to(tl.int64)[:, None] * N + rn[None, :]
    inside = (rm < M)[:, None] & (rn < N)[None, :]
    tl.store(c + at, finish(acc, rn, rn < N, at, inside, vector, s0, s1), mask=inside)


def tile(m, n, batches=1):
    """Tile and warps: the largest tile that still gives each of the 132 multiprocessors one."""
    for bm, bn, warps in ((128, 128, 8), (128, 64, 4), (64, 64, 4)):
        if triton.cdiv(m, bm) * triton.cdiv(n, bn) * batches >= 120:
            return bm, bn, warps
    return 64, 64, 4


def matmul(a, b, bias=None, vector=None, s0=0.0, s1=0.0):
    """`finish(a @ b + bias)`: a [..., M, K], b [K, N] or with a's batches."""
    batches = a.shape[0] if a.dim() == 3 else 1
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    c = torch.empty((*a.shape[:-1], n), dtype=a.dtype, device=a.device)
    bm, bn, warps = tile(m, n, batches)
    bk = 32
    matmul_kernel[(triton.cdiv(m, bm) * triton.cdiv(n, bn), batches)](
        a, b, c, a if bias is None else bias, a if vector is None else vector, m, n, k,
        a.stride(0) if a.dim() == 3 else 0, a.stride(-2), a.stride(-1),
        b.stride(0) if b.dim() == 3 else 0, b.stride(-2), b.stride(-1),
        s0, s1, HAS_BIAS=bias is not None, EVEN_K=k % bk == 0, BM=bm, BN=bn, BK=bk, GROUP=8, num_warps=warps, num_stages=3,
    )  # fmt: skip
    return c


# end of matmul


@triton.jit
def steps_kernel(given, first, weight, states, steps, batch, H, stride, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    h = tl.arange(0, WIDTH)
    tl.store(states + row * H + h, tl.load(first + row * H + h, mask=h < H, other=0.0), mask=h < H)
    for step in range(steps):
        # The state of the step before was written by other threads of this program.
        tl.debug_barrier()
        acc = tl.load(given + (step * batch + row) * H + h, mask=h < H, other=0.0)
        for start in range(0, H, BLOCK):
            k = start + tl.arange(0, BLOCK)
            state = tl.load(states + (step * batch + row) * H + k, mask=k < H, other=0.0)
            w = tl.load(weight + h[:, None] * stride + k[None, :], mask=(h < H)[:, None] & (k < H)[None, :], other=0.0)
            acc += tl.sum(w * state[None, :], axis=1)
        tl.store(states + ((step + 1) * batch + row) * H + h, tanh(acc), mask=h < H)


class ModelNew(torch.nn.Module):
    """See the module."""

    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.i2h = torch.nn.Linear(input_size + hidden_size, hidden_size)
        self.h2o = torch.nn.Linear(hidden_size, output_size)

    def forward(self, x, h0):
        steps, batch, _ = x.shape
        size, weight = self.hidden_size, self.i2h.weight
        given = matmul(x.reshape(steps * batch, -1), weight[:, : self.input_size].T, self.i2h.bias)
        states = torch.empty((steps + 1, batch, size), dtype=x.dtype, device=x.device)
        width = triton.next_power_of_2(size)
        steps_kernel[(batch,)](
            given, h0.contiguous(), weight[:, self.input_size :], states, steps, batch, size, weight.stride(0),
            WIDTH=width, BLOCK=min(64, width), num_warps=16,
        )  # fmt: skip
        return matmul(states[1:].view(steps * batch, size), self.h2o.weight.T, self.h2o.bias).view(steps, batch, -1)

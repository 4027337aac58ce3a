"""Layer norm of few, very long rows: moments of parts of rows, then the rows."""

import torch
import triton
import triton.language as tl


# shared: moments


@triton.jit
def moments_kernel(x, counts, means, squares, n, step, BLOCK: tl.constexpr):
    # Count, mean and sum of squared deviations of a part of a row, by Welford's recurrence in every lane.
    row, part, parts = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    lanes = tl.arange(0, BLOCK)
    low = part.to(tl.int64) * step
    high = min(low + step, n)
    mean = tl.zeros((BLOCK,), dtype=tl.float32)
    square = tl.zeros((BLOCK,), dtype=tl.float32)
    count = tl.zeros((BLOCK,), dtype=tl.float32)
    seen = 0.0
    for start in range(low, high, BLOCK):
        live = start + lanes < high
        value = tl.load(x + row * n + start + lanes, mask=live, other=0.0).to(tl.float32)
        seen += 1.0
        delta = tl.where(live, value - mean, 0.0)
        mean += delta * (1.0 / seen)
        square += delta * tl.where(live, value - mean, 0.0)
        count += tl.where(live, 1.0, 0.0)
    total = tl.sum(count, axis=0)
    middle = tl.sum(mean * count, axis=0) / tl.maximum(total, 1.0)
    away = tl.where(count > 0, mean - middle, 0.0)
    tl.store(counts + row * parts + part, total)
    tl.store(means + row * parts + part, middle)
    tl.store(squares + row * parts + part, tl.sum(square + count * away * away, axis=0))


@triton.jit
def combine(counts, means, squares, at, live):
    # Chan's rule over parts.
    count = tl.load(counts + at, mask=live, other=0.0)
    mean = tl.load(means + at, mask=live, other=0.0)
    total = tl.sum(count, axis=0)
    middle = tl.sum(mean * count, axis=0) / total
    away = tl.where(live, mean - middle, 0.0)
    spread = tl.sum(tl.load(squares + at, mask=live, other=0.0) + count * away * away, axis=0)
    return middle, spread / total, total


def moments(x, rows, n):
    """Counts, means and squared deviations of every row's parts, [rows, parts] each; enough parts to fill the device."""
    block = min(2048, triton.next_power_of_2(n))
    parts = max(1, min(512, triton.cdiv(n, 4 * block), triton.cdiv(132 * 16, rows)))
    step = triton.cdiv(triton.cdiv(n, parts), block) * block
    parts = triton.cdiv(n, step)
    made = torch.empty((3, rows, parts), dtype=torch.float32, device=x.device)
    moments_kernel[(rows, parts)](x, made[0], made[1], made[2], n, step, BLOCK=block, num_warps=8)
    return made


# end of moments


@triton.jit
def normalise_kernel(
    x, y, weight, bias, counts, means, squares, n, parts, eps, PARTS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    row = tl.program_id(1).to(tl.int64)
    which = tl.arange(0, PARTS)
    mean, variance, _ = combine(counts, means, squares, row * parts + which, which < parts)
    lanes = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = lanes < n
    value = (tl.load(x + row * n + lanes, mask=live, other=0.0) - mean) * tl.rsqrt(variance + eps)
    value = value * tl.load(weight + lanes, mask=live, other=0.0) + tl.load(bias + lanes, mask=live, other=0.0)
    tl.store(y + row * n + lanes, value, mask=live)


class ModelNew(torch.nn.Module):
    """See the module."""

    def __init__(self, normalized_shape):
        super().__init__()
        self.ln = torch.nn.LayerNorm(normalized_shape=normalized_shape)

    def forward(self, x):
        x, norm = x.contiguous(), self.ln
        n = norm.weight.numel()
        rows = x.numel() // n
        counts, means, squares = moments(x, rows, n)
        parts = counts.shape[1]
        y = torch.empty_like(x)
        normalise_kernel[(triton.cdiv(n, 8192), rows)](
            x, y, norm.weight, norm.bias, counts, means, squares, n, parts, norm.eps,
            PARTS=triton.next_power_of_2(parts), BLOCK=8192, num_warps=8,
        )  # fmt: skip
        return y

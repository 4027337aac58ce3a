"""`aten.amax`: maximums over dimensions"""

import torch
import triton
import triton.language as tl


@triton.jit
def join(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


# shared: reduction


@triton.jit
def reduce_kernel(x, out, n, step, scale, identity, KIND: tl.constexpr, SCALE: tl.constexpr, BLOCK: tl.constexpr):
    row, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    lanes = tl.arange(0, BLOCK)
    low = part * step
    high = min(low + step, n)
    acc = tl.full((BLOCK,), identity, dtype=KIND)
    for start in range(low, high, BLOCK):
        live = start + lanes < high
        value = tl.load(x + row * n + start + lanes, mask=live, other=0).to(KIND)
        acc = tl.where(live, join(acc, value), acc)
    answer = tl.reduce(acc, 0, join)
    if SCALE:
        answer = answer * scale
    tl.store(out + row * tl.num_programs(1) + part, answer)


def reduction(x, dims, keepdim, dtype, identity, scale=None):
    """`join` over dimensions (all where there are none): parts of rows first where rows are long, then their parts."""
    every = list(range(x.dim()))
    dims = [dims] if isinstance(dims, int) else every if dims is None or len(dims) == 0 else list(dims)
    dims = sorted({d % max(1, x.dim()) for d in dims} & set(every))
    kept = [d for d in every if d not in dims]
    shape = [1 if d in dims else x.shape[d] for d in every] if keepdim else [x.shape[d] for d in kept]
    n = 1
    for d in dims:
        n *= x.shape[d]
    out = torch.empty(shape, dtype=dtype, device=x.device)
    rows = out.numel()
    if rows == 0:
        return out
    if x.dtype in (torch.float64, torch.complex64, torch.complex128):
        raise NotImplementedError(f"this kernel adds in float32 or int64, not in {x.dtype}")
    x = x.permute([*kept, *dims]).contiguous()
    real = dtype.is_floating_point
    kind, wide = (tl.float32, torch.float32) if real else (tl.int64, torch.int64)
    block = 1024
    parts = max(1, min(512, n // (16 * block)))
    step = triton.cdiv(triton.cdiv(n, parts), block) * block
    parts = max(1, triton.cdiv(n, max(step, 1)))
    if parts > 1:
        between = torch.empty((rows, parts), dtype=wide, device=x.device)
        reduce_kernel[(rows, parts)](x, between, n, step, 1.0, identity, KIND=kind, SCALE=False, BLOCK=block, num_warps=4)
        x, n, step = between, parts, parts
    scaled = scale is not None
    reduce_kernel[(rows, 1)](
        x, out, n, max(step, 1), scale if scaled else 1.0, identity, KIND=kind, SCALE=scaled, BLOCK=block, num_warps=4
    )  # fmt: skip
    return out


# end of reduction


def amax_kernel_impl(self, dim=(), keepdim=False):
    """The operator, by its own kernel."""
    return reduction(self, dim, keepdim, self.dtype, -float("inf") if self.is_floating_point() else -(2**63))

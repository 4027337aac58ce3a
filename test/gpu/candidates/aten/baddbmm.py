"""`aten.baddbmm`: sums with a batch of products of matrices, one by one"""

import torch
import triton
import triton.language as tl


# shared: product


@triton.jit
def product_kernel(
    a, b, c, add, M, N, K, sab, sam, sak, sbb, sbk, sbn, sdm, sdn, alpha, beta,
    ADD: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    batch = tl.program_id(1).to(tl.int64)
    tiles = tl.cdiv(N, BN)
    rm = tl.program_id(0) // tiles * BM + tl.arange(0, BM)
    rn = tl.program_id(0) % tiles * BN + tl.arange(0, BN)
    rk = tl.arange(0, BK)
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for k in range(0, K, BK):
        at = (k + rk).to(tl.int64)
        x = tl.load(
            a + batch * sab + rm.to(tl.int64)[:, None] * sam + at[None, :] * sak,
            mask=(rm < M)[:, None] & (at < K)[None, :],
            other=0,
        )
        y = tl.load(
            b + batch * sbb + at[:, None] * sbk + rn.to(tl.int64)[None, :] * sbn,
            mask=(at < K)[:, None] & (rn < N)[None, :],
            other=0,
        )
        acc = tl.dot(x, y, acc, input_precision="tf32x3")
    inside = (rm < M)[:, None] & (rn < N)[None, :]
    acc = acc * alpha
    if ADD:
        there = rm.to(tl.int64)[:, None] * sdm + rn.to(tl.int64)[None, :] * sdn
        acc += tl.load(add + there, mask=inside, other=0).to(tl.float32) * beta
    tl.store(c + batch * M * N + rm.to(tl.int64)[:, None] * N + rn[None, :], acc, mask=inside)


def product(a, b, add=None, alpha=1.0, beta=1.0):
    """`alpha * (a @ b) + beta * add`: a [batch, M, K], b [batch, K, N]."""
    if a.dtype not in (torch.float32, torch.float16):
        raise NotImplementedError(f"this kernel multiplies float32 and float16, not {a.dtype}")
    batch, m, k = a.shape
    n = b.shape[2]
    c = torch.empty((batch, m, n), dtype=a.dtype, device=a.device)
    if c.numel() == 0:
        return c
    bm = bn = 64 if min(m, n) > 32 else 32
    product_kernel[(triton.cdiv(m, bm) * triton.cdiv(n, bn), batch)](
        a, b, c, a if add is None else add, m, n, k, *a.stride(), *b.stride(), *((0, 0) if add is None else add.stride()),
        float(alpha), float(beta), ADD=add is not None, BM=bm, BN=bn, BK=32, num_warps=4,
    )  # fmt: skip
    return c


# end of product


def baddbmm_kernel_impl(self, batch1, batch2, *, beta=1, alpha=1):
    """The operator, by its own kernel."""
    adds = self.expand(batch1.shape[0], batch1.shape[1], batch2.shape[2])
    out = torch.empty(adds.shape, dtype=batch1.dtype, device=batch1.device)
    for k in range(out.shape[0]):
        out[k] = product(batch1[k][None], batch2[k][None], None if beta == 0 else adds[k], alpha, beta)[0]
    return out

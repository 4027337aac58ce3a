"""Self-attention over the places of an image, without the matrix of all scores; then residual and layer norm."""

import torch
import triton
import triton.language as tl


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


# shared: attention


@triton.jit
def attention_kernel(
    qkv, out, T, heads, scale, CAUSAL: tl.constexpr, D: tl.constexpr, WIDTH: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr
):  # fmt: skip
    # A tile of queries against all keys, with a running maximum and sum; queries, keys and values lie side by side.
    batch, head = (tl.program_id(1) // heads).to(tl.int64), tl.program_id(1) % heads
    channels = heads * D
    rm = tl.program_id(0) * BM + tl.arange(0, BM)
    d = tl.arange(0, WIDTH)
    base = qkv + batch * T * 3 * channels + head * D
    q = tl.load(base + rm.to(tl.int64)[:, None] * 3 * channels + d[None, :], mask=(rm < T)[:, None] & (d < D)[None, :], other=0.0)
    q = q * scale
    peak = tl.full((BM,), -float("inf"), dtype=tl.float32)
    whole = tl.zeros((BM,), dtype=tl.float32)
    acc = tl.zeros((BM, WIDTH), dtype=tl.float32)
    last = min(T, (tl.program_id(0) + 1) * BM) if CAUSAL else T
    for start in range(0, last, BN):
        rn = start + tl.arange(0, BN)
        at = rn.to(tl.int64) * 3 * channels
        k = tl.load(base + channels + at[None, :] + d[:, None], mask=(rn < T)[None, :] & (d < D)[:, None], other=0.0)
        s = tl.dot(q, k, input_precision="tf32x3")
        allowed = (rn < T)[None, :]
        if CAUSAL:
            allowed = allowed & (rn[None, :] <= rm[:, None])
        s = tl.where(allowed, s, -float("inf"))
        higher = tl.maximum(peak, tl.max(s, axis=1))
        p = tl.exp(s - higher[:, None])
        shrink = tl.exp(peak - higher)
        whole = whole * shrink + tl.sum(p, axis=1)
        v = tl.load(base + 2 * channels + at[:, None] + d[None, :], mask=(rn < T)[:, None] & (d < D)[None, :], other=0.0)
        acc = tl.dot(p, v, acc * shrink[:, None], input_precision="tf32x3")
        peak = higher
    at = batch * T * channels + rm.to(tl.int64)[:, None] * channels + head * D + d[None, :]
    tl.store(out + at, acc / whole[:, None], mask=(rm < T)[:, None] & (d < D)[None, :])


def attention(qkv, heads, scale, causal):
    """Attention of [batch, T, 3 * heads * D], which holds queries, keys and values; answers [batch, T, heads * D]."""
    batch, t, channels = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    out = torch.empty((batch, t, channels), dtype=qkv.dtype, device=qkv.device)
    d = channels // heads
    width = max(16, triton.next_power_of_2(d))
    bm, bn = (64, 32) if width > 64 else (128, 64)
    attention_kernel[(triton.cdiv(t, bm), batch * heads)](
        qkv, out, t, heads, scale, CAUSAL=causal, D=d, WIDTH=width, BM=bm, BN=bn, num_warps=8 if bm == 128 else 4, num_stages=2
    )  # fmt: skip
    return out


# end of attention


@triton.jit
def norm_kernel(x, attended, out, weight, bias, T, C, eps, CHANNELS: tl.constexpr, BLOCK: tl.constexpr):
    image = tl.program_id(1).to(tl.int64)
    c = tl.arange(0, CHANNELS)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = (c < C)[:, None] & (at < T)[None, :]
    # Images hold a channel's places side by side, the attention a place's channels.
    here = image * C * T + c[:, None] * T + at[None, :]
    value = tl.load(x + here, mask=live, other=0.0)
    value += tl.load(attended + image * C * T + at[None, :] * C + c[:, None], mask=live, other=0.0)
    mean = tl.sum(value, axis=0) / C
    away = tl.where(live, value - mean[None, :], 0.0)
    scale = tl.rsqrt(tl.sum(away * away, axis=0) / C + eps)
    w, b = tl.load(weight + c, mask=c < C, other=0.0), tl.load(bias + c, mask=c < C, other=0.0)
    tl.store(out + here, away * scale[None, :] * w[:, None] + b[:, None], mask=live)


class ModelNew(torch.nn.Module):
    """See the module."""

    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.attn = torch.nn.MultiheadAttention(embed_dim, num_heads)
        self.norm = torch.nn.LayerNorm(embed_dim)

    def forward(self, x):
        x = x.contiguous()
        batch, channels, height, width = x.shape
        places, attn = x.view(batch, channels, height * width).transpose(1, 2), self.attn
        qkv = matmul(places, attn.in_proj_weight.T, attn.in_proj_bias)
        mixed = attention(qkv, attn.num_heads, (channels // attn.num_heads) ** -0.5, False)
        mixed = matmul(mixed, attn.out_proj.weight.T, attn.out_proj.bias)
        out = torch.empty_like(x)
        norm_kernel[(triton.cdiv(height * width, 32), batch)](
            x, mixed, out, self.norm.weight, self.norm.bias, height * width, channels, self.norm.eps,
            CHANNELS=triton.next_power_of_2(channels), BLOCK=32, num_warps=4,
        )  # fmt: skip
        return out

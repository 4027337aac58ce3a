"""Attention that never writes its scores."""

import torch
import triton
import triton.language as tl


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

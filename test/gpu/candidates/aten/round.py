"""`aten.round`: nearest integer, halves to even"""

import torch
import triton
import triton.language as tl


@triton.jit
def function(x, s0, s1):
    low = tl.floor(x)
    part = x - low
    even = low == 2.0 * tl.floor(0.5 * low)
    return tl.where((part < 0.5) | ((part == 0.5) & even), low, tl.where(part != part, x, low + 1.0))


# shared: pointwise


@triton.jit
def pointwise_kernel(
    a, b, c, out, n, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, s0, s1,
    INPUTS: tl.constexpr, FLAT: tl.constexpr, KIND: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = at < n
    if FLAT:
        pa, pb, pc = at, at, at
    else:
        i3, rest = at % n3, at // n3
        i2, rest = rest % n2, rest // n2
        i1, i0 = rest % n1, rest // n1
        pa = i0 * a0 + i1 * a1 + i2 * a2 + i3 * a3
        pb = i0 * b0 + i1 * b1 + i2 * b2 + i3 * b3
        pc = i0 * c0 + i1 * c1 + i2 * c2 + i3 * c3
    x = tl.load(a + pa, mask=live, other=0).to(KIND)
    if INPUTS == 1:
        value = function(x, s0, s1)
    elif INPUTS == 2:
        value = function(x, tl.load(b + pb, mask=live, other=0).to(KIND), s0, s1)
    else:
        y = tl.load(b + pb, mask=live, other=0).to(KIND)
        value = function(x, y, tl.load(c + pc, mask=live, other=0).to(KIND), s0, s1)
    tl.store(out + at, value, mask=live)


def collapse(shape, tensors):
    """Four sizes and strides, neighbouring dimensions joined where every tensor allows it; None where more are left."""
    sizes, strides = [], []
    for k, size in enumerate(shape):
        if size == 1:
            continue
        step = [t.stride(k) for t in tensors]
        if sizes and all(s == one * size for s, one in zip(strides[-1], step, strict=True)):
            sizes[-1] *= size
            strides[-1] = step
        else:
            sizes.append(size)
            strides.append(step)
    if len(sizes) > 4:
        return None
    missing = 4 - len(sizes)
    return [1] * missing + sizes, [[0] * len(tensors)] * missing + strides


def pointwise(rule, inputs, s0=0.0, s1=0.0):
    """`function` of tensors or numbers. Types: `same` as torch promotes, `float` at least, `bool`; `real` takes no integers."""
    tensors = [t for t in inputs if isinstance(t, torch.Tensor)]
    device = max(tensors, key=lambda t: t.dim()).device
    common = tensors[0].dtype
    if len(inputs) > 1:
        # Tensors of no dimensions and numbers count less than tensors with some.
        common = torch.result_type(inputs[0], inputs[1])
        for other in inputs[2:]:
            common = torch.promote_types(common, other.dtype)
    inputs = [t if isinstance(t, torch.Tensor) else torch.full((), t, dtype=common) for t in inputs]
    inputs = [t if t.device == device else t.to(device) for t in inputs]
    if common.is_complex or common == torch.float64:
        raise NotImplementedError(f"this kernel computes in float32 or int64, not in {common}")
    if rule == "real" and not common.is_floating_point:
        raise NotImplementedError("this kernel takes floating-point numbers")
    if rule == "float" and not common.is_floating_point:
        common = torch.float32
    kind = tl.float32 if common.is_floating_point else tl.int64
    shape = torch.broadcast_shapes(*(t.shape for t in inputs))
    out = torch.empty(shape, dtype=torch.bool if rule == "bool" else common, device=device)
    n = out.numel()
    if n == 0:
        return out
    inputs = [t.expand(shape) for t in inputs]
    found = collapse(shape, inputs)
    if found is None:
        inputs = [t.contiguous() for t in inputs]
        found = collapse(shape, inputs)
    sizes, strides = found
    flat = all(t.is_contiguous() for t in inputs)
    count = len(inputs)
    inputs += [inputs[0]] * (3 - count)
    by = [[step[k] if k < count else 0 for step in strides] for k in range(3)]
    block = 1024
    pointwise_kernel[(triton.cdiv(n, block),)](
        *inputs, out, n, *sizes[1:], *by[0], *by[1], *by[2], s0, s1, INPUTS=count, FLAT=flat, KIND=kind, BLOCK=block, num_warps=4
    )  # fmt: skip
    return out


# end of pointwise


def round_kernel_impl(self):
    """The operator, by its own kernel."""
    return pointwise("real", [self])

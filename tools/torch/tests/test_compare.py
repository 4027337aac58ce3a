import math
import random

import pytest
import torch

from ke_torch.judging.compare import compare_one, tolerance_of
from ke_torch.judging.draws import TRANSFORMS, Draw, change_weights, role_of, transform
from ke_torch.timing.estimate import Series, estimate, median, quantile, student

F32 = tolerance_of(torch.float32, None, None)


def ok(want: torch.Tensor, got: torch.Tensor) -> bool:
    return compare_one(want, None, got, F32, 1.0).ok


def test_rounding_passes_and_narrow_types_do_not() -> None:
    torch.manual_seed(1)
    a, b = torch.randn(64, 256), torch.randn(256, 64)
    want = a.double() @ b.double()
    assert ok(want, a @ b)
    assert ok(want, sum(a[:, i : i + 32] @ b[i : i + 32] for i in range(0, 256, 32)))  # type: ignore[arg-type]
    assert not ok(want, (a.bfloat16() @ b.bfloat16()).float())
    assert not ok(want, (a.half() @ b.half()).float())


def test_small_answers_are_not_lost_under_an_absolute_tolerance() -> None:
    want = torch.rand(1000).double() * 1e-9
    assert not ok(want, torch.zeros(1000))


@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf])
def test_special_values_stand_where_they_should(special: float) -> None:
    want = torch.ones(8)
    want[3] = special
    assert ok(want.double(), want.clone())
    other = want.clone()
    other[3] = 1.0
    assert not ok(want.double(), other)
    assert not ok(torch.ones(8).double(), want)


def test_the_baselines_infinity_is_right_too() -> None:
    eager = torch.tensor([1.0, math.inf])
    d = compare_one(torch.tensor([1.0, 1e39]).double(), eager, eager.clone(), F32, 1.0)
    assert d.ok


def test_integers_are_exact_and_ties_may_go_the_baselines_way() -> None:
    want, also = torch.tensor([1, 2, 3]), torch.tensor([1, 2, 4])
    assert compare_one(want, also, torch.tensor([1, 2, 4]), (0, 0), 1.0).ok
    d = compare_one(want, also, torch.tensor([1, 2, 5]), (0, 0), 1.0)
    assert d.code == "value_mismatch" and d.index == 2


def test_roles() -> None:
    assert role_of(torch.randn(100)).scale
    assert not role_of(torch.randint(0, 5, (100,))).mix
    labels = torch.randint(0, 2, (100,)).float() * 2 - 1
    assert not role_of(labels).scale and role_of(labels).mix
    assert not role_of(torch.softmax(torch.randn(8, 16), -1)).scale


def test_transforms_keep_triangles() -> None:
    generator = torch.Generator().manual_seed(0)
    lower = torch.tril(torch.randn(32, 32))
    for name in TRANSFORMS[:4]:
        changed = transform(Draw({}, [lower]), [role_of(lower)], name, generator).tensors[0]
        assert torch.equal(changed, torch.tril(changed)) and not torch.equal(changed, lower)


def test_weights_change_and_buffers_do_not() -> None:
    ones, buffer = torch.ones(10), torch.ones(10)
    a, b = change_weights([ones, buffer], [True, False], torch.Generator().manual_seed(0))
    assert not torch.equal(a, ones) and torch.equal(b, buffer)


def test_quantiles() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert quantile([0.0, 1.0], 0.25) == 0.25
    assert student(1) == 12.706 and student(1000) == 2.04


def test_the_interval_holds_what_it_promises() -> None:
    source, held = random.Random(5), 0
    for _ in range(200):
        main, control = Series(), Series()
        for _ in range(6):
            shift, other = source.gauss(0, 0.02), source.gauss(0, 0.02)
            main.add([0.5 + shift + source.gauss(0, 0.05) for _ in range(20)])
            control.add([other + source.gauss(0, 0.05) for _ in range(20)])
        i = estimate(main, control)
        held += i.low <= math.exp(0.5) <= i.high
    assert held >= 180


def test_a_single_generation_claims_nothing() -> None:
    main = Series()
    main.add([0.1, 0.1, 0.1])
    i = estimate(main, main)
    assert i.low == 0.0 and math.isinf(i.high)

"""The mathematics of the lab's model, on small random arrays."""

import pytest

np = pytest.importorskip("numpy")

from tandem.lab.heads import pad_axis, padded_heads, to_interleaved_rotary, to_split_rotary  # noqa: E402


def test_rotary_orders_are_inverse():
    weight = np.random.default_rng(1).normal(size=(3 * 8, 5))
    assert np.array_equal(to_split_rotary(to_interleaved_rotary(weight, 3), 3), weight)
    assert np.array_equal(to_interleaved_rotary(to_split_rotary(weight, 3), 3), weight)


def test_split_order_puts_partners_half_a_head_apart():
    rows = np.arange(8).reshape(8, 1)
    assert to_split_rotary(rows, 1).ravel().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert to_split_rotary(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize(
    ("heads", "divisor", "wanted"),
    [((9, 3), 4, (12, 4)), ((9, 3), 1, (9, 3)), ((8, 8), 4, (8, 8)), ((6, 3), 2, (8, 4))],
)
def test_padded_head_counts(heads, divisor, wanted):
    assert padded_heads(*heads, divisor) == wanted


def attention(x, projections, query_heads, kv_heads):
    """Grouped-query attention without rotation or mask: enough to see whether heads are kept apart."""
    query, key, value, output = projections

    def split(weight, heads):
        return (x @ weight.T).reshape(len(x), heads, -1).swapaxes(0, 1)

    q, k, v = split(query, query_heads), split(key, kv_heads), split(value, kv_heads)
    k, v = (np.repeat(part, query_heads // kv_heads, axis=0) for part in (k, v))
    scores = np.exp(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1]))
    mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ v
    return mixed.swapaxes(0, 1).reshape(len(x), -1) @ output.T


def test_zero_heads_leave_attention_as_it_was():
    random, width, dim = np.random.default_rng(2), 10, 4
    x = random.normal(size=(6, width))
    query, key, value = (random.normal(size=(heads * dim, width)) for heads in (9, 3, 3))
    output = random.normal(size=(width, 9 * dim))
    padded = (
        pad_axis(query, 0, 12 * dim),
        pad_axis(key, 0, 4 * dim),
        pad_axis(value, 0, 4 * dim),
        pad_axis(output, 1, 12 * dim),
    )
    np.testing.assert_allclose(
        attention(x, padded, 12, 4), attention(x, (query, key, value, output), 9, 3), rtol=1e-12, atol=1e-12
    )

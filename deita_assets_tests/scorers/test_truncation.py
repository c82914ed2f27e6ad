from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.scorers.truncation import kept_positions


def words(*lengths):
    """Offsets of one-character tokens, and the spans: template 3, text, template 2, text, ..., template 4."""
    spans, start = [], 3
    for length in lengths:
        spans.append((start, start + length))
        start += length + 2
    total = start - 2 + 4
    return [(0, 0), *((i, i + 1) for i in range(total))], spans


def test_one_text_keeps_its_head_and_tail():
    offsets, spans = words(10)
    # 1 special + 3 template + 10 text + 4 template = 18 tokens; a window of 13 leaves 5 for the text.
    kept = kept_positions(offsets, spans, 13)
    assert kept == [0, 1, 2, 3, 4, 5, 6, 12, 13, 14, 15, 16, 17]


def test_room_a_short_text_does_not_need_goes_to_the_long_one():
    offsets, spans = words(2, 30)
    kept = kept_positions(offsets, spans, 1 + 3 + 2 + 4 + 12)
    inside = [[p for p in kept if a <= offsets[p][0] < b and p] for a, b in spans]
    assert [len(row) for row in inside] == [2, 10]


def test_a_token_across_the_border_is_template():
    offsets = [(0, 3), (2, 5), (5, 6), (6, 7), (7, 9), (9, 12)]
    assert kept_positions(offsets, [(3, 8)], 4) == [0, 1, 4, 5]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=2), st.integers(0, 90))
def test_template_stays_window_is_filled_and_order_is_kept(lengths, room):
    offsets, spans = words(*lengths)
    template = [p for p, (a, b) in enumerate(offsets) if a == b or not any(s <= a < e for s, e in spans)]
    window = len(template) + room
    kept = kept_positions(offsets, spans, window)
    assert kept == sorted(set(kept))
    assert set(template) <= set(kept)
    assert len(kept) == min(window, len(offsets))
    for low, high in spans:
        inside = [p for p, (a, b) in enumerate(offsets) if low <= a < b <= high]
        left = [p for p in inside if p in set(kept)]
        head = (len(left) + 1) // 2
        assert left == inside[:head] + inside[len(inside) - (len(left) - head) :]

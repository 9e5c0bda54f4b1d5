from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spacy_bga.aligner.windows import (
    TextBatch,
    Window,
    fill_chunks,
    merge_wordpieces,
    pad_documents,
    plan_chunks,
    plan_windows,
)


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, int, int]:
    """Wordpieces, the size of a window and the overlap."""
    size = draw(st.integers(1, 20))
    return draw(st.integers(0, 150)), size, draw(st.integers(0, size // 2))


@settings(max_examples=60)
@given(plans())
def test_each_wordpiece_is_owned_once(plan: tuple[int, int, int]) -> None:
    n_pieces, size, overlap = plan
    windows = plan_windows(n_pieces, size, overlap)
    owned = [piece for w in windows for piece in range(w.own_start, w.own_end)]
    assert owned == list(range(n_pieces))
    for window in windows:
        assert 0 <= window.start <= window.own_start < window.own_end <= window.end <= n_pieces
        assert window.end - window.start == min(size, n_pieces)
    starts = [w.start for w in windows]
    assert starts == sorted(set(starts))


@settings(max_examples=60)
@given(plans())
def test_neighbours_overlap_enough(plan: tuple[int, int, int]) -> None:
    windows = plan_windows(*plan)
    for left, right in pairwise(windows):
        assert left.end - right.start >= plan[2]


@settings(max_examples=60)
@given(plans())
def test_no_other_window_sees_more_context(plan: tuple[int, int, int]) -> None:
    windows = plan_windows(*plan)

    def poorer(window: Window, piece: int) -> int:
        return min(piece - window.start, window.end - 1 - piece)

    for window in windows:
        for piece in range(window.own_start, window.own_end):
            assert poorer(window, piece) == max(poorer(other, piece) for other in windows)


@settings(max_examples=60)
@given(plans())
def test_owners_have_half_the_overlap_as_context(plan: tuple[int, int, int]) -> None:
    """Away from the document's edges, an owned wordpiece sees about half the overlap on its poorer side."""
    n_pieces, _, overlap = plan
    for window in plan_windows(*plan):
        for piece in (window.own_start, window.own_end - 1):
            left = piece - window.start if window.start else overlap
            right = window.end - 1 - piece if window.end < n_pieces else overlap
            assert min(left, right) >= (overlap - 1) // 2


def test_plan_by_hand() -> None:
    assert plan_windows(0, 5, 2) == []
    assert plan_windows(5, 5, 2) == [Window(0, 5, 0, 5)]
    assert plan_windows(6, 5, 2) == [Window(0, 5, 0, 3), Window(1, 6, 3, 6)]
    assert plan_windows(11, 5, 2) == [Window(0, 5, 0, 4), Window(3, 8, 4, 7), Window(6, 11, 7, 11)]


@st.composite
def batches(draw: st.DrawFn) -> tuple[TextBatch, list[list[tuple[int, int]]]]:
    """Windows whose wordpieces belong to tokens, and for each token the places (window, position) of its pieces."""
    lengths = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)))
    n_windows, width = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    places = draw(st.lists(st.integers(0, n_windows * width - 1), unique=True)) if sum(lengths) else []
    tokens = sorted(draw(st.integers(0, sum(lengths) - 1)) for _ in places)
    of_token: list[list[tuple[int, int]]] = [[] for _ in range(sum(lengths))]
    for place, token in zip(places, tokens, strict=True):
        of_token[token].append(divmod(place, width))
    shape = (n_windows, width)
    batch = TextBatch(
        torch.zeros(shape, dtype=torch.long),
        torch.ones(shape, dtype=torch.bool),
        torch.tensor(places, dtype=torch.long),
        torch.tensor(tokens, dtype=torch.long),
        lengths,
    )
    return batch, of_token


@settings(max_examples=60)
@given(batches(), st.integers(0, 99))
def test_merge_equals_a_loop(drawn: tuple[TextBatch, list[list[tuple[int, int]]]], seed: int) -> None:
    batch, of_token = drawn
    hidden = torch.randn(*batch.ids.shape, 3, generator=torch.Generator().manual_seed(seed))
    merged = merge_wordpieces([(hidden, batch)])
    assert merged.shape == (batch.n_tokens, 3)
    for token, pieces in enumerate(of_token):
        expected = torch.stack([hidden[place] for place in pieces]).mean(0) if pieces else torch.zeros(3)
        torch.testing.assert_close(merged[token], expected)


@settings(max_examples=60)
@given(batches(), st.integers(0, 99))
def test_chunks_equal_one(drawn: tuple[TextBatch, list[list[tuple[int, int]]]], seed: int) -> None:
    batch, _ = drawn
    width = batch.ids.shape[1]
    hidden = torch.randn(*batch.ids.shape, 3, generator=torch.Generator().manual_seed(seed))
    parts: list[tuple[Tensor, TextBatch]] = []
    for window in reversed(range(len(batch.ids))):
        mine = batch.places // width == window
        rows = slice(window, window + 1)
        places, tokens = batch.places[mine] - window * width, batch.tokens[mine]
        parts.append((hidden[rows], TextBatch(batch.ids[rows], batch.mask[rows], places, tokens, batch.lengths)))
    torch.testing.assert_close(merge_wordpieces(iter(parts)), merge_wordpieces([(hidden, batch)]))


def test_merge_passes_gradients_to_used_wordpieces() -> None:
    hidden = torch.randn(1, 4, 2, requires_grad=True)
    mask = torch.ones(1, 4, dtype=torch.bool)
    batch = TextBatch(mask.long(), mask, torch.tensor([1, 2]), torch.tensor([0, 0]), (1,))
    merge_wordpieces([(hidden, batch)]).sum().backward()
    assert hidden.grad is not None
    assert hidden.grad[0].tolist() == [[0, 0], [0.5, 0.5], [0.5, 0.5], [0, 0]]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 5), max_size=5), st.integers(0, 99))
def test_pad_documents_and_back(lengths: list[int], seed: int) -> None:
    flat = torch.randn(sum(lengths), 3, generator=torch.Generator().manual_seed(seed))
    padded, mask = pad_documents(flat, tuple(lengths))
    assert padded.shape == (len(lengths), max(lengths, default=0), 3)
    assert mask.sum(1).tolist() == lengths
    assert torch.equal(padded[mask], flat)
    assert not padded[~mask].any()
    start = 0
    for row, length in zip(padded, lengths, strict=True):
        assert torch.equal(row[:length], flat[start : start + length])
        start += length


def test_pad_documents_passes_gradients() -> None:
    flat = torch.randn(3, 2, requires_grad=True)
    padded, _ = pad_documents(flat, (1, 0, 2))
    (padded * 2).sum().backward()
    assert flat.grad is not None
    assert (flat.grad == 2).all()


@pytest.mark.parametrize("lengths", [(), (0,), (2, 0, 3)])
def test_text_batch_counts_and_moves(lengths: tuple[int, ...]) -> None:
    mask = torch.ones(1, 2, dtype=torch.bool)
    batch = TextBatch(mask.long(), mask, torch.tensor([0]), torch.tensor([0]), lengths)
    assert batch.n_tokens == sum(lengths)
    moved = batch.to(torch.device("meta"))
    assert {t.device.type for t in (moved.ids, moved.mask, moved.places, moved.tokens)} == {"meta"}
    assert moved.lengths == lengths


Drawn = tuple[TextBatch, list[list[tuple[int, int]]]]


@settings(max_examples=60)
@given(batches())
def test_window_of_each_token(drawn: Drawn) -> None:
    """The last one of those that its wordpieces are in."""
    batch, of_token = drawn
    expected = [max((window for window, _ in places), default=-1) for places in of_token]
    assert batch.token_windows.tolist() == expected


@settings(max_examples=60)
@given(batches(), st.data())
def test_windows_of_documents(drawn: Drawn, data: st.DataObject) -> None:
    batch, of_token = drawn
    chosen = data.draw(st.lists(st.booleans(), min_size=len(batch.lengths), max_size=len(batch.lengths)))
    owners = [document for document, length in enumerate(batch.lengths) for _ in range(length)]
    expected = {w for token, places in enumerate(of_token) if chosen[owners[token]] for w, _ in places}
    assert batch.windows_of(torch.tensor(chosen)).tolist() == sorted(expected)


@given(batches(), st.data())
def test_selected_windows(drawn: Drawn, data: st.DataObject) -> None:
    batch = replace(drawn[0], ids=torch.arange(drawn[0].ids.numel()).view_as(drawn[0].ids))
    rows = torch.tensor(data.draw(st.lists(st.integers(0, len(batch.ids) - 1), unique=True)), dtype=torch.long)
    some = batch.select(rows)
    assert torch.equal(some.ids, batch.ids[rows])
    assert torch.equal(some.mask, batch.mask[rows])
    assert some.n_tokens == 0
    assert merge_wordpieces([(some.ids.unsqueeze(-1).float(), some)]).shape == (0, 1)


@settings(max_examples=60)
@given(batches(), st.data())
def test_chosen_words(drawn: Drawn, data: st.DataObject) -> None:
    ids = drawn[0].ids
    batch = replace(drawn[0], ids=torch.arange(ids.numel()).view_as(ids))
    chosen = torch.tensor(data.draw(st.lists(st.booleans(), min_size=batch.n_tokens, max_size=batch.n_tokens))).bool()
    some, table = batch.words(chosen), torch.randn(ids.numel(), 3)
    everything = merge_wordpieces([(table[batch.ids], batch)])
    torch.testing.assert_close(merge_wordpieces([(table[some.ids], some)]), everything[chosen])
    assert torch.equal(some.word_keys, batch.word_keys[chosen])


def chunk_costs(widths: list[int], ends: list[int], limit: int, overhead: int) -> int:
    """What cutting there costs, after seeing that it is a cut, and within the limit."""
    starts = [0, *ends][:-1]
    assert ends == sorted(set(ends))
    assert ends[-1:] == [len(widths)] * bool(widths)
    sizes = [(end - start) * widths[end - 1] for start, end in zip(starts, ends, strict=True)]
    assert all(size <= limit or end - start == 1 for size, start, end in zip(sizes, starts, ends, strict=True))
    return sum(sizes) + overhead * len(ends)


@given(st.lists(st.integers(1, 9), max_size=9).map(sorted), st.integers(1, 40), st.integers(0, 20))
def test_chunks_cost_the_least(widths: list[int], limit: int, overhead: int) -> None:
    """Of all ways to cut between windows of other widths; more than the limit of one width is cut evenly."""
    found = plan_chunks(widths, limit, overhead=overhead)
    cost = chunk_costs(widths, found, limit, overhead)
    borders = [i for i in range(1, len(widths)) if widths[i] != widths[i - 1]]
    for number in range(len(borders) + 1):
        for chosen in combinations(borders, number):
            ends = [*chosen, len(widths)] if widths else []
            starts = [0, *ends][:-1]
            if all((e - s) * widths[e - 1] <= limit for s, e in zip(starts, ends, strict=True)):
                assert cost <= chunk_costs(widths, ends, limit, overhead)


def test_chunks_of_many_windows() -> None:
    assert plan_chunks([], 512) == []
    assert plan_chunks([7], 512) == [1]
    assert plan_chunks([128] * 9, 512) == [1, 5, 9]
    assert plan_chunks([600, 600], 512) == [1, 2]
    assert plan_chunks([5] * 10 + [100] * 2, 512, overhead=32) == [10, 12]
    assert plan_chunks([5] * 10 + [100] * 2, 2000, overhead=1000) == [12]


def test_a_chunk_counts_for_an_eighth_of_the_limit() -> None:
    widths = [5] * 10 + [9] * 10  # together 180 with padding, apart 140 and a chunk more
    assert plan_chunks(widths, 8 * 39) == [10, 20]
    assert plan_chunks(widths, 8 * 41) == [20]


@given(st.lists(st.integers(1, 30), max_size=30).map(sorted), st.integers(1, 60))
def test_filled_chunks(widths: list[int], limit: int) -> None:
    """Each but the last is so full that one more window would be too much; none is over the limit."""
    ends = fill_chunks(widths, limit)
    starts = [0, *ends][:-1]
    assert ends == sorted(set(ends))
    assert ends[-1:] == [len(widths)] * bool(widths)

    def fits(start: int, end: int) -> bool:
        packed, padded = sum(widths[start:end]), (end - start) * widths[end - 1]
        return end - start == 1 or (packed <= limit and padded <= 2 * limit)

    assert all(fits(start, end) for start, end in zip(starts, ends, strict=True))
    assert not any(fits(start, end + 1) for start, end in zip(starts, ends, strict=True) if end < len(widths))


def test_filled_chunks_of_many_windows() -> None:
    assert fill_chunks([], 512) == []
    assert fill_chunks([3, 9, 100], 512) == [3]
    assert fill_chunks([600, 600], 512) == [1, 2]
    assert fill_chunks([5] * 50 + [500], 800) == [50, 51]  # padding would make it 25,500

from __future__ import annotations

import itertools
import random

import pytest
import torch
import torchcrf
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.training import iob_to_biluo

from spacy_bga.aligner.crf import CRF, FORBIDDEN, bio_tags
from spacy_bga.errors import BGAError

SEEDS = st.integers(0, 2**32 - 1)
LABELS = ("X", "Y", "Z")


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_crf(n_labels: int, *, dtype: torch.dtype = torch.float64, scale: float = 1.0) -> CRF:
    crf = CRF(LABELS[:n_labels]).to(dtype)
    for scores in crf.parameters():
        torch.nn.init.normal_(scores, std=scale)
    return crf


def make_batch(lengths: list[int], size: int, *, dtype: torch.dtype = torch.float64, scale: float = 2.0):
    steps = max(lengths, default=0)
    mask = torch.arange(steps) < torch.tensor(lengths, dtype=torch.long)[:, None]
    return torch.randn(len(lengths), steps, size, dtype=dtype) * scale, mask


def is_bio(previous: str, tag: str) -> bool:
    return not tag.startswith("I-") or previous in (f"B-{tag[2:]}", tag)


def enumerate_paths(crf: CRF, emissions: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Every BIO sequence of one document `(t, L)` with its score."""
    start, end = crf.start.tolist(), crf.end.tolist()
    transitions, scores = crf.transitions.tolist(), emissions.tolist()
    paths = {}
    for path in itertools.product(range(len(crf.tags)), repeat=len(scores)):
        names = ["O", *(crf.tags[tag] for tag in path)]
        if not all(is_bio(left, right) for left, right in itertools.pairwise(names)):
            continue
        paths[path] = (
            start[path[0]]
            + end[path[-1]]
            + sum(row[tag] for row, tag in zip(scores, path, strict=True))
            + sum(transitions[i][j] for i, j in itertools.pairwise(path))
        )
    return paths


def log_sum(scores) -> torch.Tensor:
    return torch.logsumexp(torch.tensor(list(scores), dtype=torch.float64), 0)


def permits(allowed: torch.Tensor, path: tuple[int, ...]) -> bool:
    return all(bool(row[tag]) for row, tag in zip(allowed, path, strict=True))


def make_allowed(crf: CRF, emissions: torch.Tensor, mask: torch.Tensor, *, seed: int = 0, density=0.3):
    """Random sets of tags that leave at least one BIO sequence to every document."""
    draw = random.Random(seed)
    allowed = torch.rand(emissions.shape) < density
    for row, length in enumerate(mask.sum(1).tolist()):
        previous = "O"
        for at in range(length):
            tag = draw.choice([i for i, name in enumerate(crf.tags) if is_bio(previous, name)])
            allowed[row, at, tag] = True
            previous = crf.tags[tag]
    return allowed


@st.composite
def cases(draw):
    seed = draw(SEEDS)
    torch.manual_seed(seed)
    n_labels = draw(st.integers(0, 2))
    lengths = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    crf = make_crf(n_labels, scale=draw(st.sampled_from((0.0, 1.0, 5.0))))
    density = draw(st.sampled_from((0.0, 0.3, 0.8, 1.0)))
    emissions, mask = make_batch(lengths, len(crf.tags), scale=draw(st.sampled_from((0.0, 2.0, 30.0))))
    return crf, emissions, mask, make_allowed(crf, emissions, mask, seed=seed, density=density), lengths


@pytest.mark.parametrize("labels", [[], ["X"], ["PER", "LOC"]])
def test_bio_tags(labels):
    tags = bio_tags(labels)
    assert tags[0] == "O"
    for k, label in enumerate(labels):
        assert tags[1 + 2 * k] == f"B-{label}"
        assert tags[2 + 2 * k] == f"I-{label}"
    assert len(tags) == 1 + 2 * len(labels)


@settings(max_examples=60)
@given(cases())
def test_everything_equals_enumeration(case):
    crf, emissions, mask, allowed, lengths = case
    loss = crf(emissions, allowed, mask)
    best, best_allowed = crf.viterbi(emissions, mask), crf.viterbi(emissions, mask, allowed)
    posterior, posterior_allowed = crf.marginals(emissions, mask), crf.marginals(emissions, mask, allowed)
    for row, length in enumerate(lengths):
        if length == 0:
            assert loss[row] == 0
            assert not best[row].any()
            assert not posterior[row].any()
            continue
        every = enumerate_paths(crf, emissions[row, :length])
        subset = {path: score for path, score in every.items() if permits(allowed[row, :length], path)}
        torch.testing.assert_close(loss[row], log_sum(every.values()) - log_sum(subset.values()))
        for paths, found, tags in ((every, posterior, best), (subset, posterior_allowed, best_allowed)):
            path = tuple(tags[row, :length].tolist())
            assert paths[path] == pytest.approx(max(paths.values()))
            log_z = log_sum(paths.values())
            expected = torch.zeros(length, len(crf.tags), dtype=torch.float64)
            for path, score in paths.items():
                expected[torch.arange(length), list(path)] += torch.exp(score - log_z)
            torch.testing.assert_close(found[row, :length], expected)
            assert not found[row, length:].any()
            assert not tags[row, length:].any()


@settings(max_examples=20)
@given(cases())
def test_gradient_is_that_of_enumeration(case):
    crf, emissions, mask, allowed, lengths = case
    emissions.requires_grad_()
    weights = torch.rand(len(lengths), dtype=torch.float64)
    (crf(emissions, allowed, mask) * weights).sum().backward()
    expected = torch.zeros_like(emissions)
    pairs, start, end = torch.zeros_like(crf.transitions), torch.zeros_like(crf.start), torch.zeros_like(crf.end)
    for row, length in enumerate(lengths):
        if length == 0:
            continue
        every = enumerate_paths(crf, emissions[row, :length])
        subset = {path: score for path, score in every.items() if permits(allowed[row, :length], path)}
        for sign, paths in ((1, every), (-1, subset)):
            log_z = log_sum(paths.values())
            for path, score in paths.items():
                p = sign * weights[row] * torch.exp(score - log_z)
                start[path[0]] += p
                end[path[-1]] += p
                expected[row, torch.arange(length), list(path)] += p
                for i, j in itertools.pairwise(path):
                    pairs[i, j] += p
    torch.testing.assert_close(emissions.grad, expected)
    for scores, counts in ((crf.transitions, pairs), (crf.start, start), (crf.end, end)):
        torch.testing.assert_close(torch.zeros_like(scores) if scores.grad is None else scores.grad, counts)


def test_gradcheck():
    torch.manual_seed(0)
    crf = make_crf(2)
    emissions, mask = make_batch([4, 1, 0, 3], len(crf.tags))
    allowed = make_allowed(crf, emissions, mask)

    def loss(emissions, transitions, start, end):
        scores = {"transitions": transitions, "start": start, "end": end}
        return torch.func.functional_call(crf, scores, (emissions, allowed, mask))

    inputs = [emissions, *(scores.detach().clone() for scores in (crf.transitions, crf.start, crf.end))]
    assert torch.autograd.gradcheck(loss, [scores.requires_grad_() for scores in inputs])


def test_gradient_in_pieces_is_the_same(monkeypatch):
    torch.manual_seed(0)
    crf = make_crf(2)
    emissions, mask = make_batch([7, 5], len(crf.tags))
    allowed = make_allowed(crf, emissions, mask)
    crf(emissions, allowed, mask).sum().backward()
    whole = crf.transitions.grad.clone()
    crf.zero_grad()
    monkeypatch.setattr("spacy_bga.aligner.crf._CHUNK", 1)
    crf(emissions, allowed, mask).sum().backward()
    torch.testing.assert_close(crf.transitions.grad, whole)


def test_marginals_are_the_gradient_of_log_z():
    torch.manual_seed(0)
    crf = make_crf(3)
    emissions, mask = make_batch([6, 2, 4], len(crf.tags))
    emissions.requires_grad_()
    # All "O" is one path with a plain score, so that log Z is the loss plus that score
    only_o = torch.zeros_like(emissions, dtype=torch.bool)
    only_o[..., 0] = True
    (log_z_less_o,) = torch.autograd.grad(crf(emissions, only_o, mask).sum(), emissions)
    expected = log_z_less_o + (only_o & mask[..., None])
    torch.testing.assert_close(crf.marginals(emissions, mask), expected)


@settings(max_examples=20)
@given(SEEDS, st.lists(st.integers(2, 12), min_size=1, max_size=5))
def test_agrees_with_pytorch_crf(seed, lengths):
    torch.manual_seed(seed)
    crf = make_crf(3)
    emissions, mask = make_batch(lengths, len(crf.tags))
    other = torchcrf.CRF(len(crf.tags), batch_first=True).double()
    with torch.no_grad():
        other.transitions.copy_(crf.transitions.masked_fill(~crf.bio_transitions, FORBIDDEN))
        other.start_transitions.copy_(crf.start.masked_fill(~crf.bio_start, FORBIDDEN))
        other.end_transitions.copy_(crf.end)
    tags = crf.viterbi(torch.randn_like(emissions), mask)
    allowed = torch.nn.functional.one_hot(tags, len(crf.tags)).bool()
    ours, theirs = crf(emissions, allowed, mask), -other(emissions, tags, mask, reduction="none")
    torch.testing.assert_close(ours, theirs)
    ours.sum().backward()
    theirs.sum().backward()
    legal = crf.bio_transitions
    torch.testing.assert_close(crf.transitions.grad[legal], other.transitions.grad[legal])
    torch.testing.assert_close(crf.end.grad, other.end_transitions.grad)
    best = crf.viterbi(emissions, mask)
    assert [row[:length].tolist() for row, length in zip(best, lengths, strict=True)] == other.decode(emissions, mask)


@settings(max_examples=30)
@given(cases(), st.integers(1, 3))
def test_padding_and_company_change_nothing(case, extra):
    crf, emissions, mask, allowed, lengths = case
    rows, _, size = emissions.shape
    # What lies in the padding must not matter, be it NaN
    padding = torch.full((rows, extra, size), torch.nan, dtype=emissions.dtype)
    emissions_p = torch.cat([emissions.masked_fill(~mask[..., None], torch.nan), padding], 1)
    mask_p = torch.cat([mask, torch.zeros(rows, extra, dtype=torch.bool)], 1)
    allowed_p = torch.cat([allowed & mask[..., None], torch.zeros(rows, extra, size, dtype=torch.bool)], 1)
    steps = mask.shape[1]
    torch.testing.assert_close(crf(emissions_p, allowed_p, mask_p), crf(emissions, allowed, mask))
    torch.testing.assert_close(crf.marginals(emissions_p, mask_p)[:, :steps], crf.marginals(emissions, mask))
    assert torch.equal(crf.viterbi(emissions_p, mask_p)[:, :steps], crf.viterbi(emissions, mask))
    for row, length in enumerate(lengths):
        one = (slice(row, row + 1), slice(0, length))
        torch.testing.assert_close(crf(emissions[one], allowed[one], mask[one])[0], crf(emissions, allowed, mask)[row])
        assert torch.equal(crf.viterbi(emissions[one], mask[one])[0], crf.viterbi(emissions, mask)[row, :length])
    emissions_p.requires_grad_()
    crf(emissions_p, allowed_p, mask_p).sum().backward()
    assert torch.isfinite(emissions_p.grad).all()


def test_without_gradients_the_loss_is_the_same():
    """Where nothing is to be differentiated, one recursion is enough."""
    torch.manual_seed(0)
    crf = make_crf(2)
    emissions, mask = make_batch([5, 3, 1], len(crf.tags))
    allowed = make_allowed(crf, emissions, mask)
    expected = crf(emissions, allowed, mask)
    assert expected.requires_grad
    assert (expected > 0).all()
    with torch.no_grad():
        torch.testing.assert_close(crf(emissions, allowed, mask), expected)


def test_unannotated_document_costs_exactly_nothing():
    torch.manual_seed(0)
    crf = make_crf(3, dtype=torch.float32)
    emissions, mask = make_batch([9, 4, 0], len(crf.tags), dtype=torch.float32)
    emissions.requires_grad_()
    allowed = torch.ones_like(emissions, dtype=torch.bool)
    loss = crf(emissions, allowed, mask)
    assert loss.tolist() == [0.0, 0.0, 0.0]
    loss.sum().backward()
    assert not emissions.grad.any()
    allowed[1, 2, 0] = False
    loss = crf(emissions, allowed, mask)
    assert loss[0] == 0
    assert loss[1] > 0
    loss.sum().backward()
    assert not emissions.grad[0].any()
    assert emissions.grad[1].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("n_labels", [0, 1])
def test_no_document_no_token_few_labels(dtype, n_labels):
    crf = make_crf(n_labels, dtype=torch.float32)
    for lengths in ([], [0], [0, 0], [1], [3, 0]):
        emissions, mask = make_batch(lengths, len(crf.tags), dtype=dtype)
        emissions.requires_grad_()
        allowed = torch.zeros_like(emissions, dtype=torch.bool)
        allowed[..., 0] = True
        loss = crf(emissions, allowed, mask)
        assert loss.shape == (len(lengths),)
        assert loss.dtype == torch.float32
        loss.sum().backward()
        assert torch.isfinite(emissions.grad).all()
        with torch.inference_mode():
            assert crf.viterbi(emissions, mask).shape == mask.shape
            sums = crf.marginals(emissions, mask).sum(-1)
        torch.testing.assert_close(sums, mask.float())
        if n_labels == 0:
            torch.testing.assert_close(loss, torch.zeros_like(loss))


def test_long_document_is_exact_in_float32():
    torch.manual_seed(0)
    crf = make_crf(3, dtype=torch.float32)
    emissions, mask = make_batch([5000, 17], len(crf.tags), dtype=torch.float32, scale=5.0)
    emissions.requires_grad_()
    allowed = torch.ones_like(emissions, dtype=torch.bool)
    allowed[0, 2500, 1:] = False  # one annotated token among 5,000
    loss = crf(emissions, allowed, mask)
    loss.sum().backward()
    marginals = crf.marginals(emissions, mask)
    assert loss[0].item() == pytest.approx(-marginals[0, 2500, 0].log().item(), rel=1e-4)
    torch.testing.assert_close(marginals.sum(-1), mask.float())
    assert torch.isfinite(emissions.grad).all()
    # Only what is near the annotated token can learn from it
    assert emissions.grad[0, 2500].abs().max() > 1e-6
    assert emissions.grad[0, :2000].abs().max() < 1e-9
    tags = [crf.tags[tag] for tag in crf.viterbi(emissions, mask)[0].tolist()]
    assert all(is_bio(left, right) for left, right in itertools.pairwise(["O", *tags]))


def test_impossible_annotation_stays_finite():
    crf = make_crf(2, dtype=torch.float32)
    emissions, mask = make_batch([3, 2], len(crf.tags), dtype=torch.float32)
    emissions.requires_grad_()
    allowed = torch.zeros_like(emissions, dtype=torch.bool)
    allowed[0, :, 2] = True  # I-X from the start
    loss = crf(emissions, allowed, mask)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(emissions.grad).all()
    assert all(torch.isfinite(scores.grad).all() for scores in crf.parameters())
    # BIO wins over `allowed`, which is broken as rarely as possible
    assert crf.viterbi(emissions, mask, allowed)[0].tolist() == [1, 2, 2]


@settings(max_examples=30)
@given(SEEDS, st.sampled_from((1.0, 1e3, 1e6)), st.booleans())
def test_viterbi_is_bio_whatever_the_emissions(seed, scale, constrain):
    torch.manual_seed(seed)
    crf = make_crf(3, dtype=torch.float32)
    emissions, mask = make_batch([12, 5, 0, 1], len(crf.tags), dtype=torch.float32, scale=scale)
    allowed = torch.rand(emissions.shape) < 0.5 if constrain else None
    for tags, length in zip(crf.viterbi(emissions, mask, allowed), mask.sum(1), strict=True):
        names = [crf.tags[tag] for tag in tags[:length].tolist()]
        assert all(is_bio(left, right) for left, right in itertools.pairwise(["O", *names]))
        iob_to_biluo(names)  # spaCy's own reading accepts it


def test_constraints_are_not_saved_and_not_learned():
    crf = make_crf(2)
    assert set(crf.state_dict()) == {"transitions", "start", "end"}
    emissions, mask = make_batch([5, 3], len(crf.tags))
    crf(emissions, make_allowed(crf, emissions, mask), mask).sum().backward()
    assert not crf.transitions.grad[~crf.bio_transitions].any()
    assert not crf.start.grad[~crf.bio_start].any()


@pytest.mark.parametrize(
    ("emissions", "mask", "allowed", "message"),
    [
        (torch.zeros(1, 2, 4), torch.ones(1, 2).bool(), None, r"B111.*tokens, 3\), not \(1, 2, 4\)"),
        (torch.zeros(2, 3), torch.ones(1, 2).bool(), None, r"B111.*tokens, 3\), not \(2, 3\)"),
        (
            torch.zeros(1, 2, 3),
            torch.ones(1, 3).bool(),
            None,
            r"B112.*`mask` of shape \(1, 2\), not torch.bool of shape \(1, 3\)",
        ),
        (
            torch.zeros(1, 2, 3),
            torch.ones(1, 2),
            None,
            r"B112.*`mask` of shape \(1, 2\), not torch.float32 of shape \(1, 2\)",
        ),
        (
            torch.zeros(1, 2, 3),
            torch.ones(1, 2).bool(),
            torch.ones(1, 2, 2).bool(),
            r"B112.*`allowed` of shape \(1, 2, 3\), not torch.bool of shape \(1, 2, 2\)",
        ),
        (torch.zeros(1, 2, 3), torch.ones(1, 2).bool(), torch.ones(1, 2, 3), r"B112.*`allowed`.*torch.float32"),
        (torch.zeros(1, 2, 3), torch.tensor([[False, True]]), None, "B113"),
    ],
)
def test_wrong_shapes_are_errors(emissions, mask, allowed, message):
    crf = CRF(["X"])
    entities = torch.zeros(0, 4, dtype=torch.int64)
    for call in (crf.viterbi, crf.marginals, lambda e, m, a: crf.entity_posteriors(e, m, entities, a)):
        with pytest.raises(BGAError, match=message):
            call(emissions, mask, allowed)
    if allowed is not None:
        with pytest.raises(BGAError, match=message):
            crf(emissions, allowed, mask)


def test_duplicate_labels_are_an_error():
    with pytest.raises(BGAError, match=r"B110.*\['X', 'Y', 'X'\]"):
        CRF(["X", "Y", "X"])


def every_entity(lengths: list[int], n_labels: int) -> torch.Tensor:
    """All entities that documents could have: document, first token, token after the last, label."""
    found = [
        (row, first, end, label)
        for row, length in enumerate(lengths)
        for first in range(length)
        for end in range(first + 1, length + 1)
        for label in range(n_labels)
    ]
    return torch.tensor(found, dtype=torch.long).reshape(-1, 4)


def has_entity(tags: tuple[int, ...], first: int, end: int, label: int) -> bool:
    whole = (1 + 2 * label, *[2 + 2 * label] * (end - first - 1))
    return tags[first:end] == whole and (end == len(tags) or tags[end] != 2 + 2 * label)


@settings(max_examples=60)
@given(cases(), st.booleans())
def test_entity_posterior_equals_enumeration(case, constrain):
    crf, emissions, mask, allowed, lengths = case
    entities = every_entity(lengths, len(crf.labels))
    posterior = crf.entity_posteriors(emissions, mask, entities, allowed if constrain else None)
    assert posterior.shape == (len(entities),)
    for row, length in enumerate(lengths):
        if not length:
            continue
        paths = enumerate_paths(crf, emissions[row, :length])
        if constrain:
            paths = {path: score for path, score in paths.items() if permits(allowed[row, :length], path)}
        log_z = log_sum(paths.values())
        for (document, *entity), found in zip(entities.tolist(), posterior.tolist(), strict=True):
            if document == row:
                expected = sum((score - log_z).exp() for path, score in paths.items() if has_entity(path, *entity))
                assert found == pytest.approx(float(expected), abs=1e-9)


def test_entities_that_cover_a_token_are_all_that_is_not_outside():
    torch.manual_seed(0)
    lengths = [30, 1, 0, 17]
    crf = make_crf(3)
    emissions, mask = make_batch(lengths, len(crf.tags))
    entities = every_entity(lengths, 3)
    covered = torch.zeros(mask.shape, dtype=torch.float64)
    for (row, first, end, _), posterior in zip(
        entities.tolist(), crf.entity_posteriors(emissions, mask, entities), strict=True
    ):
        covered[row, first:end] += posterior
    torch.testing.assert_close(covered, (1 - crf.marginals(emissions, mask)[..., 0]) * mask)


def test_entity_posterior_of_a_long_document_is_exact_in_float32():
    torch.manual_seed(1)
    crf = make_crf(2, dtype=torch.float32)
    emissions, mask = make_batch([3000], len(crf.tags), dtype=torch.float32, scale=5.0)
    entities = torch.tensor([[0, 2990, 2993, 1], [0, 0, 2, 0], [0, 2999, 3000, 1]])
    exact = crf.double().entity_posteriors(emissions.double(), mask, entities)
    torch.testing.assert_close(crf.float().entity_posteriors(emissions, mask, entities), exact.float())
    assert exact.max() > 1e-6


def test_entity_posterior_of_company_is_the_same():
    torch.manual_seed(2)
    crf = make_crf(2)
    emissions, mask = make_batch([5, 40, 3], len(crf.tags))
    together = crf.entity_posteriors(emissions, mask, torch.tensor([[2, 1, 3, 0], [0, 0, 5, 1]]))
    alone = crf.entity_posteriors(emissions[2:, :3], mask[2:, :3], torch.tensor([[0, 1, 3, 0]]))
    torch.testing.assert_close(together[:1], alone)


def test_no_entity_has_no_posterior():
    crf = make_crf(1)
    emissions, mask = make_batch([2], 3)
    assert crf.entity_posteriors(emissions, mask, torch.zeros(0, 4, dtype=torch.long)).shape == (0,)


@pytest.mark.parametrize("entity", [[0, 0, 4, 0], [0, 2, 2, 0], [1, 0, 2, 0], [0, 0, 1, 1], [0, -1, 1, 0]])
def test_an_entity_that_cannot_be_is_an_error(entity):
    crf = make_crf(1)
    emissions, mask = make_batch([3, 1], 3)
    with pytest.raises(BGAError, match="B610"):
        crf.entity_posteriors(emissions, mask, torch.tensor([entity]))

"""Linear-chain CRF over BIO tags: likelihood of partial annotation, Viterbi and posteriors, over a whole batch at once.

Shapes: `B` documents, `t` tokens (padded on the right), `L` tags.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from spacy_bga.errors import BGAError, Errors

# What replaces the score of a forbidden transition or tag. exp(-1e4) is exactly 0 in every float type, so a forbidden
# path adds nothing; being finite, it can be added to and subtracted from without making NaN; and as it replaces the
# score instead of being added to it, no digit of an allowed score is lost.
FORBIDDEN = -1e4

# Viterbi never breaks BIO (-inf), but may have to break an `allowed` that has no BIO path: each break costs this much.
_BREAK = -1e8

# Elements of the largest temporary of the backward pass: bounds the memory of very long documents.
_CHUNK = 1 << 22


def bio_tags(labels: Sequence[str]) -> list[str]:
    """List the BIO tags of some labels, in the labels' order.

    Tag 0 is `O`; label `k` has `B-` at `1 + 2 * k` and `I-` at `2 + 2 * k`.

    labels (Sequence[str]): The entity labels.
    RETURNS (list[str]): The `L = 1 + 2 * len(labels)` tags: `["O", "B-X", "I-X", ...]`.
    """
    return ["O", *(f"{prefix}-{label}" for label in labels for prefix in "BI")]


class CRF(nn.Module):
    """Linear-chain conditional random field (Lafferty et al. 2001) over BIO tags.

        score(y) = start[y_1] + sum_i emissions[i, y_i] + sum_i transitions[y_i, y_(i+1)] + end[y_t]
        p(y)     = exp(score(y)) / Z

    Tag sequences that are not BIO (an `I-X` after anything but `B-X` or `I-X`) have probability zero.

    All sums run in float64 where the device has it, whatever the type of the emissions: the log-likelihood of a long
    document is a small difference of large numbers. Emissions must be finite.

    labels (Sequence[str]): The entity labels; none is possible.
    """

    bio_start: Tensor
    bio_transitions: Tensor

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        if len(set(labels)) != len(labels):
            raise BGAError(Errors.B110.format(labels=list(labels)))
        self.labels = tuple(labels)
        self.tags = bio_tags(labels)
        size = len(self.tags)
        self.transitions = nn.Parameter(torch.empty(size, size))
        self.start = nn.Parameter(torch.empty(size))
        self.end = nn.Parameter(torch.empty(size))
        self.register_buffer("bio_transitions", torch.empty(size, size, dtype=torch.bool), persistent=False)
        self.register_buffer("bio_start", torch.empty(size, dtype=torch.bool), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set all scores to zero and fill in the BIO constraints, which are derived from the labels, never saved."""
        for scores in (self.transitions, self.start, self.end):
            nn.init.zeros_(scores)
        start, transitions = _bio_constraints(len(self.labels))
        self.bio_start.copy_(torch.from_numpy(start))
        self.bio_transitions.copy_(torch.from_numpy(transitions))

    def forward(self, emissions: Tensor, allowed: Tensor, mask: Tensor) -> Tensor:
        """Compute the loss: see `neg_log_likelihood`."""
        return self.neg_log_likelihood(emissions, allowed, mask)

    def neg_log_likelihood(self, emissions: Tensor, allowed: Tensor, mask: Tensor) -> Tensor:
        """Compute the negative log-likelihood of partial annotation: the probability of all sequences it allows.

            -log p(allowed) = log Z(all) - log Z(allowed)

        Source: Tsuboi et al. 2008, "Training Conditional Random Fields Using Incomplete Annotations", equation 4.
        A token with one allowed tag is labelled, one with all tags allowed is marginalised out. The annotation of a
        document should leave at least one BIO sequence; where it does not, the loss is large but finite.

        emissions (Tensor): Scores of the tags `(B, t, L)`.
        allowed (Tensor): Tags that the annotation allows `(B, t, L)`, bool.
        mask (Tensor): True at tokens, False at padding, which is on the right `(B, t)`, bool.
        RETURNS (Tensor): One loss per document `(B,)`; exactly 0 where nothing is annotated.
        """
        self._check(emissions, mask, allowed)
        annotated = (~allowed & mask.unsqueeze(-1)).flatten(1).any(1)
        rows = annotated.nonzero().squeeze(1)
        # Empty sums keep the loss in the graph when no document is annotated
        loss = emissions[:, :0].sum((1, 2)).to(self.transitions.dtype) + self.start[:0].sum()
        if len(rows) == 0:
            return loss
        mask = mask[rows]
        scores = _working(emissions[rows]).masked_fill(~mask.unsqueeze(-1), 0.0)
        both = torch.cat([scores, scores.masked_fill(~allowed[rows], FORBIDDEN)])
        log_partition = _LogPartition.apply if torch.is_grad_enabled() else _forward
        log_z = log_partition(both, *self._constrained(both.dtype), mask.sum(1).repeat(2))
        every, subset = log_z.chunk(2)
        return loss.index_add(0, rows, (every - subset).to(loss.dtype))

    def marginals(self, emissions: Tensor, mask: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Compute the posterior of each tag at each token, by forward-backward (Rabiner 1989).

        emissions (Tensor): Scores of the tags `(B, t, L)`.
        mask (Tensor): True at tokens, False at padding, which is on the right `(B, t)`, bool.
        allowed (Optional[Tensor]): Tags to choose from `(B, t, L)`, bool. Defaults to all.
        RETURNS (Tensor): Probabilities `(B, t, L)`; they sum to 1 at every token and are 0 at padding. No gradient.
        """
        self._check(emissions, mask, allowed)
        if emissions.numel() == 0:
            return torch.zeros_like(emissions, dtype=self.transitions.dtype)
        with torch.no_grad():
            scores = _working(emissions).masked_fill(~mask.unsqueeze(-1), 0.0)
            if allowed is not None:
                scores = scores.masked_fill(~allowed, FORBIDDEN)
            alpha, beta, _ = _forward_backward(scores, *self._constrained(scores.dtype), mask.sum(1))
            posterior = torch.softmax(alpha + beta - scores, dim=-1)
            return posterior.masked_fill(~mask.unsqueeze(-1), 0.0).to(self.transitions.dtype)

    def entity_posteriors(
        self, emissions: Tensor, mask: Tensor, entities: Tensor, allowed: Tensor | None = None
    ) -> Tensor:
        """Compute the posterior of whole entities: that tokens i to j are one with the label X, and it ends there.

            p(y_i = B-X, y_(i+1) = ... = y_j = I-X, y_(j+1) != I-X) = exp(alpha_i(B-X) + inside + after) / Z

            inside = sum_(k = i+1 ... j) transitions[y_(k-1), y_k] + emissions[k, I-X]
            after  = log sum_(z != I-X) exp(transitions[y_j, z] + beta_(j+1)(z)), or end[y_j] at a document's last token

        where alpha_i sums what leads to a tag of token i, its emission included, and beta_(j+1) what follows from one.
        Source: the constrained forward-backward of Culotta and McCallum 2004, "Confidence Estimation for Information
        Extraction", section 3, in closed form: the constraint fixes all tags of the entity.

        emissions (Tensor): Scores of the tags `(B, t, L)`.
        mask (Tensor): True at tokens, False at padding, which is on the right `(B, t)`, bool.
        entities (Tensor): Document, first token, token after the last, and number of the label `(S, 4)`, int64.
        allowed (Optional[Tensor]): Tags to choose from `(B, t, L)`, bool; they are given. Defaults to all.
        RETURNS (Tensor): Probabilities `(S,)`. No gradient.
        """
        self._check(emissions, mask, allowed)
        rows, first, end, label = entities.to(emissions.device).unbind(1)
        used, rows = rows.unique(return_inverse=True)  # no other document is looked at
        if len(used) == 0:
            return self.transitions.new_zeros(0)
        lengths = mask.sum(1)[used]
        if not (
            (first >= 0) & (first < end) & (end <= lengths[rows]) & (label >= 0) & (label < len(self.labels))
        ).all():
            raise BGAError(Errors.B610)
        with torch.no_grad():
            mask = mask[used, : lengths.max()]
            scores = _working(emissions[used, : mask.shape[1]]).masked_fill(~mask.unsqueeze(-1), 0.0)
            if allowed is not None:
                scores = scores.masked_fill(~allowed[used, : mask.shape[1]], FORBIDDEN)
            transitions, start, last = self._constrained(scores.dtype)
            alpha, beta, log_z = _forward_backward(scores, transitions, start, last, lengths)
            b, i = 1 + 2 * label, 2 + 2 * label
            longer = end - first > 1
            # Sums from a document's beginning, of every label: what lies between two places is one subtraction away
            totals = (scores + transitions.diagonal()).cumsum(1)
            inside = totals[rows, end - 1, i] - totals[rows, first, i]
            inside += torch.where(longer, transitions[b, i] - transitions[i, i], 0.0)
            tag = torch.where(longer, i, b)
            following = (transitions[tag] + beta[rows, end.clamp(max=mask.shape[1] - 1)]).scatter(
                1, i[:, None], -torch.inf
            )
            after = torch.where(end < lengths[rows], following.logsumexp(1), last[tag])
            posterior = (alpha[rows, first, b] + inside + after - log_z[rows]).exp()
            return posterior.clamp(max=1.0).to(self.transitions.dtype)

    def viterbi(self, emissions: Tensor, mask: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Find the best tag sequence of each document (Viterbi 1967).

        It is always BIO. Where no BIO sequence is within `allowed`, it is one that breaks `allowed` as rarely as
        possible. A document's tags do not depend on the others in the batch, not even in the last digit.

        emissions (Tensor): Scores of the tags `(B, t, L)`.
        mask (Tensor): True at tokens, False at padding, which is on the right `(B, t)`, bool.
        allowed (Optional[Tensor]): Tags to choose from `(B, t, L)`, bool. Defaults to all.
        RETURNS (Tensor): Tags `(B, t)`, int64, on the emissions' device; 0 at padding.
        """
        self._check(emissions, mask, allowed)
        if emissions.numel() == 0:
            return torch.zeros(mask.shape, dtype=torch.int64, device=emissions.device)
        # numpy, because the cost is that of the calls: several times less than torch's for one document on a CPU, and
        # on a GPU one copy is cheaper than 2 * t kernel launches
        scores = _numpy(emissions)
        if allowed is not None:
            scores = np.where(allowed.cpu().numpy(), scores, _BREAK)
        start = np.where(self.bio_start.cpu().numpy(), _numpy(self.start), -np.inf)
        transitions = np.where(self.bio_transitions.cpu().numpy(), _numpy(self.transitions), -np.inf)
        best = _viterbi(scores, transitions, start, _numpy(self.end), mask.cpu().numpy())
        return torch.from_numpy(best).to(emissions.device)

    def _constrained(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """The transitions `(L, L)`, start `(L,)` and end `(L,)`, with what BIO forbids filled in."""
        return (
            self.transitions.to(dtype).masked_fill(~self.bio_transitions, FORBIDDEN),
            self.start.to(dtype).masked_fill(~self.bio_start, FORBIDDEN),
            self.end.to(dtype),
        )

    def _check(self, emissions: Tensor, mask: Tensor, allowed: Tensor | None) -> None:
        if emissions.dim() != 3 or emissions.shape[2] != len(self.tags):
            raise BGAError(Errors.B111.format(size=len(self.tags), shape=tuple(emissions.shape)))
        if mask.dtype != torch.bool or mask.shape != emissions.shape[:2]:
            raise BGAError(Errors.B112.format(name="mask", expected=tuple(emissions.shape[:2]), **_described(mask)))
        if allowed is not None and (allowed.dtype != torch.bool or allowed.shape != emissions.shape):
            raise BGAError(Errors.B112.format(name="allowed", expected=tuple(emissions.shape), **_described(allowed)))
        if (mask[:, 1:] > mask[:, :-1]).any():
            raise BGAError(Errors.B113)


class _LogPartition(torch.autograd.Function):
    """log Z `(N,)` of every row, with its gradient in closed form: the expected counts of tags and transitions.

    Autograd through the recursion would record some ten small operations per token; the backward recursion costs as
    much as the forward one and runs beside it, in the same calls.
    """

    @staticmethod
    def forward(ctx, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor) -> Tensor:
        alpha, beta, log_z = _forward_backward(emissions, transitions, start, end, lengths)
        ctx.save_for_backward(emissions, transitions, lengths, alpha, beta, log_z)
        return log_z

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        emissions, transitions, lengths, alpha, beta, log_z = ctx.saved_tensors
        token = _is_token(lengths, emissions.shape[1]).unsqueeze(-1)
        log_z = log_z[:, None, None]
        posterior = (alpha + beta - emissions - log_z).masked_fill(~token, -torch.inf).exp()
        d_emissions = posterior * grad[:, None, None]
        d_end = d_emissions[torch.arange(len(lengths), device=lengths.device), lengths - 1].sum(0)
        # log p(y_i, y_(i+1)) = alpha[i] + transitions + beta[i + 1] - log Z, for pairs within the document
        left = (alpha[:, :-1] - log_z).masked_fill(~token[:, 1:], -torch.inf)
        d_transitions = _expected_pairs(left, transitions, beta[:, 1:], grad)
        return d_emissions, d_transitions, d_emissions[:, 0].sum(0), d_end, None


def _expected_pairs(left: Tensor, transitions: Tensor, right: Tensor, weight: Tensor) -> Tensor:
    """Sum exp(left_i + transitions_ij + right_j) over rows and tokens, rows weighted: `(N, t - 1, L)` -> `(L, L)`."""
    rows, steps, size = left.shape
    total = torch.zeros_like(transitions)
    width = max(1, _CHUNK // (rows * size * size))
    for at in range(0, steps, width):
        pairs = left[:, at : at + width, :, None] + transitions + right[:, at : at + width, None, :]
        total += (weight @ pairs.exp_().sum(1).flatten(1)).view(size, size)
    return total


def _forward_backward(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Run both recursions at once.

    emissions (Tensor): `(N, t, L)`, finite at padding too.
    transitions (Tensor): `(L, L)`.
    start (Tensor): `(L,)`.
    end (Tensor): `(L,)`.
    lengths (Tensor): Tokens of each row, at least 1 to be meaningful `(N,)`.
    RETURNS (tuple[Tensor, Tensor, Tensor]): `alpha` and `beta` `(N, t, L)`, both with the emission of their own token
        in them, so that a tag's log posterior is `alpha + beta - emissions - log Z`; and `log Z` `(N,)`.
    """
    steps = emissions.shape[1]
    # The backward recursion is the forward one over the reversed tokens and transposed transitions. Each document is
    # reversed within its length, and so stays left-aligned.
    at = torch.arange(steps, device=lengths.device)
    backwards = torch.where(at < lengths[:, None], lengths[:, None] - 1 - at, at).unsqueeze(-1).expand_as(emissions)
    alpha, beta = _recursion(
        torch.stack([emissions, emissions.gather(1, backwards)]),
        torch.stack([transitions, transitions.T]),
        torch.stack([start, end]),
    )
    return alpha, beta.gather(1, backwards), _log_z(alpha, end, lengths)


def _forward(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor) -> Tensor:
    """log Z `(N,)` alone: arguments as in `_forward_backward`."""
    (alpha,) = _recursion(emissions[None], transitions[None], start[None])
    return _log_z(alpha, end, lengths)


def _log_z(alpha: Tensor, end: Tensor, lengths: Tensor) -> Tensor:
    last = alpha[torch.arange(len(lengths), device=lengths.device), lengths - 1]
    return torch.logsumexp(last + end, dim=-1)


def _recursion(emissions: Tensor, transitions: Tensor, start: Tensor) -> Tensor:
    """The forward recursion of `G` chains: `(G, N, t, L)`, `(G, L, L)`, `(G, L)` -> log sums `(G, N, t, L)`.

    It runs on over the padding, where its values mean nothing: that is cheaper than a choice at every step.
    """
    into = transitions.mT.unsqueeze(1).contiguous()  # (G, 1, L to, L from): sums run over the last, contiguous axis
    emitted = emissions.unbind(2)
    state = start.unsqueeze(1) + emitted[0]
    states = [state]
    for scores in emitted[1:]:
        state = torch.logsumexp(state.unsqueeze(-2) + into, dim=-1).add_(scores)
        states.append(state)
    return torch.stack(states, dim=2)


def _viterbi(
    scores: np.ndarray, transitions: np.ndarray, start: np.ndarray, end: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Best tags `(B, t)` for scores `(B, t, L)`, transitions `(L, L)`, start and end `(L,)`, mask `(B, t)`."""
    rows, steps, size = scores.shape
    last = np.maximum(mask.sum(1) - 1, 0)
    # Tags lead, so that the maximum over the previous tag is taken between whole rows of memory
    best = np.empty((steps, size, rows))
    paths = np.empty((size, size, rows))  # (from, to, B)
    scores = np.ascontiguousarray(scores.transpose(1, 2, 0))
    spread = transitions[:, :, None]
    np.add(scores[0], start[:, None], out=best[0])
    for at in range(1, steps):
        np.add(best[at - 1][:, None], spread, out=paths)
        np.maximum.reduce(paths, axis=0, out=best[at])
        best[at] += scores[at]
    # Kept scores instead of kept pointers: the arg max is needed for the one tag on the path only
    tags = np.zeros((rows, steps), dtype=np.int64)
    everyone = np.arange(rows)
    tag = (best[last, :, everyone] + end).argmax(1)
    tags[everyone, last] = tag
    first_end = last.min()
    for at in range(steps - 2, -1, -1):
        previous = (best[at] + transitions[:, tag]).argmax(0)
        tag = previous if at < first_end else np.where(at < last, previous, tag)
        tags[:, at] = tag
    return np.where(mask, tags, 0)


def _bio_constraints(n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Which tags may come first `(L,)`, and which may follow which `(L from, L to)`."""
    size = 1 + 2 * n_labels
    start = np.ones(size, dtype=bool)
    start[2::2] = False
    transitions = np.ones((size, size), dtype=bool)
    transitions[:, 2::2] = False
    for inside in range(2, size, 2):
        transitions[inside - 1 : inside + 1, inside] = True
    return start, transitions


def _is_token(lengths: Tensor, steps: int) -> Tensor:
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def _working(scores: Tensor) -> Tensor:
    """The scores in the type that sums are made in: Apple's GPUs have no float64."""
    return scores.to(torch.float32 if scores.device.type == "mps" else torch.float64)


def _numpy(scores: Tensor) -> np.ndarray:
    return scores.detach().cpu().to(torch.float64).numpy()


def _described(tensor: Tensor) -> dict[str, object]:
    return {"dtype": tensor.dtype, "shape": tuple(tensor.shape)}

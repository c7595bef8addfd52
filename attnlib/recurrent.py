"""Recurrent translation with attention: the decoder asks the annotations of the source.

The source is read in both directions. The target never is: at step i the later words do not
exist yet, and a model that saw them in training could not do without them afterwards.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from attnlib._checks import check_mask, check_positive, check_probability, check_tensor
from attnlib.attention import AdditiveAttention, MultiplicativeAttention

__all__ = ["DecoderState", "Seq2Seq"]

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}


@dataclass(frozen=True, eq=False)
class DecoderState:
    """All that a decoder needs for its next step: what it has said, and what it translates.

    Args:
        hidden: (1, B, hidden), the state of the recurrent layer.
        cell: (1, B, hidden), the cells of an LSTM; None for a GRU.
        annotations: (B, S, 2 hidden), the encoded source.
        mask: bool, (B, 1, 1, S), True at the tokens of the source; None when all are.
    """

    hidden: Tensor
    cell: Tensor | None
    annotations: Tensor
    mask: Tensor | None

    def reorder(self, index: Tensor) -> "DecoderState":
        """The states of chosen examples, as a beam search keeps its best and drops the rest.

        Args:
            index: (B',) int64 numbers of examples; one may be chosen more than once.

        Returns:
            The state of a batch of B' examples.
        """
        return DecoderState(
            self.hidden[:, index],
            None if self.cell is None else self.cell[:, index],
            self.annotations[index],
            None if self.mask is None else self.mask[index],
        )


class Seq2Seq(nn.Module):
    """Recurrent encoder and decoder, with attention from each target step to the source.

    a_j = [forward state_j; backward state_j];  s_i = cell(s_(i-1), y_(i-1))
    c_i = sum_j weights_ij a_j, scored between s_i and a_j;  logits_i = W tanh(W_c [c_i; s_i])
    s_0 comes from the last states of both directions. Without attention it is all that the decoder
    learns of the source. Padded tokens change nothing; a source without tokens has context 0.

    Args:
        source_vocab: number of source tokens.
        target_vocab: number of target tokens.
        embed_dim: width of the token embeddings.
        hidden: width of the decoder's state, and of the encoder's in each direction.
        cell: "gru" or "lstm".
        attention: "additive" (Bahdanau), "multiplicative" (Luong) or None.
        dropout: probability of dropping a feature of an embedding, or of the last layer, while
            training, in [0, 1).

    Raises:
        ValueError: sizes below 1, a bad probability, another cell or attention.

    Differs from Bahdanau et al. 2015:
        the decoder reads the token first and attends then, in the order of Luong et al. without
        input feeding, so that all steps of teacher forcing attend in one call.

    Reference: Bahdanau et al. 2015, section 3, arXiv:1409.0473; Luong et al. 2015, section 3.1,
        arXiv:1508.04025

    >>> model = Seq2Seq(11, 13, embed_dim=4, hidden=6)
    >>> source, target = torch.ones(2, 5, dtype=torch.long), torch.ones(2, 3, dtype=torch.long)
    >>> model(source, target).shape
    torch.Size([2, 3, 13])
    """

    def __init__(
        self,
        source_vocab: int,
        target_vocab: int,
        embed_dim: int,
        hidden: int,
        *,
        cell: str = "gru",
        attention: str | None = "additive",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        owner = "Seq2Seq"
        check_positive(owner, source_vocab=source_vocab, target_vocab=target_vocab)
        check_positive(owner, embed_dim=embed_dim, hidden=hidden)
        check_probability(owner, "dropout", dropout)
        if cell not in CELLS:
            raise ValueError(
                f"{owner}: got cell={cell!r}, expected one of {tuple(CELLS)}; write cell='gru'"
            )
        if attention not in ("additive", "multiplicative", None):
            raise ValueError(
                f"{owner}: got attention={attention!r}, expected 'additive', 'multiplicative' or "
                f"None; write attention='additive'"
            )
        self.source_embedding = nn.Embedding(source_vocab, embed_dim)
        self.target_embedding = nn.Embedding(target_vocab, embed_dim)
        self.forward_encoder = CELLS[cell](embed_dim, hidden, batch_first=True)
        self.backward_encoder = CELLS[cell](embed_dim, hidden, batch_first=True)
        self.bridge = nn.Linear(2 * hidden, hidden)
        self.decoder = CELLS[cell](embed_dim, hidden, batch_first=True)
        if attention == "additive":
            self.attention = AdditiveAttention(hidden, 2 * hidden, hidden)
        elif attention == "multiplicative":
            self.attention = MultiplicativeAttention(hidden, 2 * hidden)
        else:
            self.attention = None
        self.combine = nn.Linear(hidden if attention is None else 3 * hidden, hidden)
        self.output = nn.Linear(hidden, target_vocab)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        *,
        mask: Tensor | None = None,
        need_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Teacher forcing: the logits of every next token, given the right tokens before it.

        Args:
            source: (B, S) integer tokens, padded at the end.
            target: (B, L) integer tokens as the decoder reads them: a start token, then all but
                the last token to produce.
            mask: bool, (B, 1, 1, S): `padding_mask(lengths, S)`.
            need_weights: also return the alignment.

        Returns:
            (B, L, target_vocab), or that and the weights (B, 1, L, S).

        Raises:
            TypeError: tokens that are not integers, or a mask that is not bool.
            ValueError: shapes that do not fit, an unknown token, weights of a model without
                attention.
        """
        logits, _, *weights = self.decode(
            target, self.encode(source, mask=mask), need_weights=need_weights
        )
        return (logits, *weights) if need_weights else logits

    def encode(self, source: Tensor, *, mask: Tensor | None = None) -> DecoderState:
        """Read the source in both directions.

        Args:
            source: (B, S) integer tokens, padded at the end.
            mask: bool, (B, 1, 1, S): `padding_mask(lengths, S)`.

        Returns:
            The state of a decoder that has said nothing yet.
        """
        embedded = self.dropout(_embed("source", source, self.source_embedding))
        B, S = source.shape
        check_mask("Seq2Seq", mask, (B, 1, 1, S))
        if mask is not None:
            mask = mask.expand(B, 1, 1, S)
        steps = torch.arange(S, device=source.device)
        lengths = source.new_full((B,), S) if mask is None else mask.sum(-1).flatten()
        # Each example is turned around within its own length, so that its padding stays behind
        # its tokens. A packed sequence would do the same, but needs the lengths on the CPU.
        turned = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
        ahead, _ = self.forward_encoder(embedded)
        back, _ = self.backward_encoder(_take(embedded, turned))
        last = (lengths - 1).clamp(min=0)[:, None]
        ends = torch.cat([_take(ahead, last), _take(back, last)], dim=-1)  # (B, 1, 2 hidden)
        ends = ends.masked_fill((lengths == 0)[:, None, None], 0.0)
        start = self.bridge(ends).transpose(0, 1).contiguous()
        is_lstm = isinstance(self.decoder, nn.LSTM)
        annotations = torch.cat([ahead, _take(back, turned)], dim=-1)
        return DecoderState(torch.tanh(start), start if is_lstm else None, annotations, mask)

    def decode(
        self, target: Tensor, state: DecoderState, *, need_weights: bool = False
    ) -> tuple[Tensor, ...]:
        """Read target tokens, one or many: any cut into pieces gives the same.

        Args:
            target: (B, L) integer tokens as the decoder reads them.
            state: what `encode` or an earlier piece gave.
            need_weights: also return the alignment.

        Returns:
            The logits (B, L, target_vocab) and the state after the last token, and the weights
            (B, 1, L, S) where asked.
        """
        if need_weights and self.attention is None:
            raise ValueError(
                "Seq2Seq: got need_weights=True for a model without attention, expected False; "
                "build it with attention='additive'"
            )
        embedded = self.dropout(_embed("target", target, self.target_embedding))
        if len(target) != len(state.annotations):
            raise ValueError(
                f"Seq2Seq: got {len(target)} targets and {len(state.annotations)} sources, "
                f"expected one each; write state.reorder(index) to repeat sources"
            )
        before = state.hidden if state.cell is None else (state.hidden, state.cell)
        states, after = self.decoder(embedded, before)
        hidden, cell = (after, None) if state.cell is None else after
        weights = []
        if self.attention is not None:
            result = self.attention(
                states, state.annotations, mask=state.mask, need_weights=need_weights
            )
            context, *weights = result if need_weights else (result,)
            states = torch.cat([context, states], dim=-1)
        logits = self.output(self.dropout(torch.tanh(self.combine(states))))
        return logits, replace(state, hidden=hidden, cell=cell), *weights

    def step(self, token: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One step, which is what a search over translations needs.

        Args:
            token: (B,) integer, the token said last; the start token first.
            state: what `encode` or the step before gave.

        Returns:
            The logits of the next token (B, target_vocab), and the state after it.
        """
        check_tensor("Seq2Seq.step", "token", token)
        logits, state = self.decode(token[..., None], state)
        return logits[:, 0], state

    @torch.no_grad()
    def greedy(
        self, source: Tensor, max_len: int, *, start: int, end: int, mask: Tensor | None = None
    ) -> Tensor:
        """Translate by saying the likeliest token, again and again.

        Args:
            source: (B, S) integer tokens, padded at the end.
            max_len: most tokens to say.
            start: the token that the decoder reads first.
            end: the token that ends a translation; it fills the rest of the row.
            mask: bool, (B, 1, 1, S): `padding_mask(lengths, S)`.

        Returns:
            (B, L) int64, L <= max_len: as long as the longest translation, its end included.

        Raises:
            ValueError: a length below 1.
        """
        check_positive("Seq2Seq.greedy", max_len=max_len)
        state = self.encode(source, mask=mask)
        token = source.new_full((len(source),), start, dtype=torch.int64)
        ended = torch.zeros_like(token, dtype=torch.bool)
        said = []
        while len(said) < max_len and not bool(ended.all()):
            logits, state = self.step(token, state)
            token = logits.argmax(-1).masked_fill(ended, end)
            ended = token == end  # an ended row says nothing but its end
            said.append(token)
        return torch.stack(said, dim=1)


def _embed(name: str, tokens: Tensor, embedding: nn.Embedding) -> Tensor:
    check_tensor("Seq2Seq", name, tokens)
    if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
        raise TypeError(
            f"Seq2Seq: {name} is {tokens.dtype}, expected integer tokens; write {name}.long()"
        )
    if tokens.ndim != 2 or 0 in tokens.shape:
        raise ValueError(
            f"Seq2Seq: {name} has shape {tuple(tokens.shape)}, expected (B, length), not empty; "
            f"write {name}.unsqueeze(0) for one sequence"
        )
    try:
        return embedding(tokens.long())
    except IndexError:  # on the CPU; a GPU would have to be waited for
        raise ValueError(
            f"Seq2Seq: {name} holds a token outside its vocabulary, expected numbers from 0 to "
            f"{embedding.num_embeddings - 1}; build the model for a larger vocabulary"
        ) from None


def _take(x: Tensor, index: Tensor) -> Tensor:
    """Row index[b, i] of every x[b]: (B, S, F) and (B, I) to (B, I, F)."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))

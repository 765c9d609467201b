"""From hidden states to log-probabilities at the answer: the one place that shifts, masks and cuts the vocabulary.

The language-model head runs on the rows that predict an answer token and on no other: for a prompt of a thousand
tokens and a label of eight this is 1/125 of the logits, and no `[batch, seq, vocab]` tensor ever exists.
"""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from kd_rag.types import IGNORED, Batch, Inputs


def with_answers(prompts: Inputs, answers: Int[Tensor, "batch answer"]) -> Inputs:
    """Return the prompts followed by their answers, padded on the right.

    The last column of `answers` is left out: it is predicted but never read. With all padding behind the tokens, causal
    attention alone never meets it, so the kernels need no mask and skip half of the work.
    """
    return _joined(prompts, answers[:, :-1], padding_last=True)


def continued(prompts: Inputs, said: Int[Tensor, "batch said"]) -> Inputs:
    """Return the prompts with what was said behind them, as prompts: padded on the left."""
    return _joined(prompts, said, padding_last=False)


def _joined(prompts: Inputs, behind: Int[Tensor, "batch behind"], *, padding_last: bool) -> Inputs:
    """Return prompts with ids behind them, all padding of a row on one side."""
    present = torch.cat([prompts.attention_mask, (behind != IGNORED).long()], dim=1)
    order = present.argsort(dim=1, descending=padding_last, stable=True)
    whole = {
        "input_ids": torch.cat([prompts.input_ids, behind.where(behind != IGNORED, 0)], dim=1),
        "attention_mask": present,
        "mm_token_type_ids": pad(prompts.mm_token_type_ids, (0, behind.shape[1])),
    }
    return dataclasses.replace(prompts, **{name: rows.gather(1, order) for name, rows in whole.items()})


def answer_rows(
    hidden: Float[Tensor, "batch seq dim"], batch: Batch
) -> tuple[Float[Tensor, "answers dim"], Int[Tensor, " answers"]]:
    """Return the states that predict an answer token, and those tokens, in batch order.

    `hidden` are the states of `with_answers`: the state at the prompt's last token predicts the answer's first.
    """
    present = batch.answers != IGNORED
    row, place = present.nonzero(as_tuple=True)
    last = batch.inputs.attention_mask.sum(dim=1) - 1
    return hidden[row, last[row] + place], batch.answers[present]


def log_probabilities(
    logits: Float[Tensor, "answers rows"], vocabulary: int, temperature: float = 1.0
) -> Float[Tensor, "answers vocab"]:
    """Return float32 log-probabilities over the ids that teacher and student share.

    Heads are padded to different widths (152064 rows in Qwen2-VL-7B, 151936 in 2B) above the tokenizer's ids; both are
    cut to `vocabulary` = `len(tokenizer)` and normalised over what is left. `tokenizer.vocab_size` would be
    the wrong bound: it leaves out the special tokens, `<|im_end|>` among them.
    """
    return (logits[:, :vocabulary].float() / temperature).log_softmax(dim=-1)


def with_rest(
    log_probs: Float[Tensor, "answers vocab"], kept: Int[Tensor, "answers k"]
) -> Float[Tensor, "answers outcomes"]:
    """Return the log-probabilities of the `kept` ids and, as one more outcome, of all others together."""
    rest = log_probs.scatter(-1, kept, -torch.inf).logsumexp(dim=-1, keepdim=True)
    return torch.cat([log_probs.gather(-1, kept), rest], dim=-1)

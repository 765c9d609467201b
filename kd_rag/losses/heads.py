"""From hidden states to log-probabilities at the answer: the one place that shifts, masks and cuts the vocabulary.

The language-model head runs on the rows that predict an answer token and on no other: for a prompt of a thousand
tokens and a label of eight this is 1/125 of the logits, and no `[batch, seq, vocab]` tensor ever exists.
"""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from kd_rag.types import IGNORED


def answer_rows(
    hidden: Float[Tensor, "batch seq dim"], labels: Int[Tensor, "batch seq"]
) -> tuple[Float[Tensor, "answers dim"], Int[Tensor, " answers"]]:
    """Return the hidden states that predict an answer token, and those tokens, in batch order.

    The state at position t predicts the token at t + 1.
    """
    predicts = labels[:, 1:] != IGNORED
    return hidden[:, :-1][predicts], labels[:, 1:][predicts]


def log_probabilities(
    logits: Float[Tensor, "answers rows"], vocabulary: int, temperature: float = 1.0
) -> Float[Tensor, "answers vocab"]:
    """Return float32 log-probabilities over the ids that teacher and student share.

    Heads are padded to different widths (152064 rows in Qwen2-VL-7B, 151936 in 2B) above the tokenizer's ids; both are
    cut to `vocabulary` = `len(tokenizer)` and normalised over what is left. `tokenizer.vocab_size` would be
    the wrong bound: it leaves out the special tokens, `<|im_end|>` among them.
    """
    return (logits[:, :vocabulary].float() / temperature).log_softmax(dim=-1)

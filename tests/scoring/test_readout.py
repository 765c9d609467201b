"""What a pass over prompts and answers asks of the network."""

import torch

from kd_rag.losses.sides import Needs
from kd_rag.scoring.readout import read
from tests.conftest import make_example


def test_the_kernels_get_no_mask(load, collator, monkeypatch):
    """A mask, even one that is causal but for padding, makes the attention kernels do twice the work."""
    model, masks = load("student"), []
    kernel = torch.nn.functional.scaled_dot_product_attention

    def seen(*args, **options):
        masks.append((options["attn_mask"], options["is_causal"]))
        return kernel(*args, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", seen)
    examples = [make_example(label="refund"), make_example(texts=("a longer turn",), label="order_page")]
    (batch,) = collator.micro_batches(examples, 2)
    assert len(set(batch.inputs.attention_mask.sum(1).tolist())) == 2
    read(model, batch, Needs(), {})
    assert masks == [(None, True)] * len(model.layers)


def test_padding_is_not_read(load, collator):
    """Each record's rows are those it has alone."""
    model = load("student").eval()
    examples = [make_example(label="refund"), make_example(texts=("longer <image>",), pictures=1, label="order_page")]
    (batch,) = collator.micro_batches(examples, 2)
    with torch.no_grad():
        together, _ = read(model, batch, Needs(), {})
        alone = [read(model, collator.micro_batches([e], 1)[0], Needs(), {})[0].answers.states for e in examples]
    torch.testing.assert_close(together.answers.states, torch.cat(alone), rtol=1e-4, atol=1e-5)

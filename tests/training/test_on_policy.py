"""Answers that the student draws: how many, the same ones after a stop, and scored by the teacher that sees them."""

import os
import signal

import lightning as L  # noqa: N812
import pytest
import torch

from kd_rag.losses.cross_entropy import CrossEntropy
from kd_rag.losses.divergences import forward_kl
from kd_rag.losses.heads import log_probabilities
from kd_rag.losses.objective import Objective
from kd_rag.losses.sides import Needs
from kd_rag.losses.terms import TokenKD
from kd_rag.scoring.readout import read
from kd_rag.types import IGNORED
from tests.training.two_processes import Teacher

pytestmark = pytest.mark.slow
MAX_TOKENS = 3


class Watching(Teacher):
    """A teacher that keeps the batches it was asked about."""

    def __init__(self, folder, trees):
        super().__init__(folder, trees)
        self.batches = []

    def __call__(self, batch, needs):
        self.batches.append(batch)
        return super().__call__(batch, needs)

    @property
    def met(self):
        return [(batch.sampled, batch.answers.tolist()) for batch in self.batches]


class StopIn(L.Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, *arguments):
        if trainer.global_step == self.step - 1:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def make_drawing(make_job, folders):
    """Make a job whose student draws `share` of its answers, and the teacher that scores them."""

    def make(folder, share, **changes):
        made = []

        def objective(model, trees):
            made.append(Watching(folders["teacher"], trees))
            vocabulary = model.processor.vocabulary
            terms = {"ce": CrossEntropy(vocabulary), "token_kd": TokenKD(forward_kl, 2.0, vocabulary)}
            return Objective(terms, {}, {"ce": (0.5, 0.5), "token_kd": (0.5, 0.5)}, vocabulary, made[0])

        job = make_job(folder, objective=objective, **changes)
        policy = job.module.config.distill.on_policy
        policy.share, policy.max_tokens = share, MAX_TOKENS
        return job, made[0]

    return make


def test_a_share_is_drawn_and_the_same_answers_after_a_stop(make_drawing, tmp_path):
    """Other answers after a stop would make the run another one; gold ones passed off as drawn would hide it."""
    whole, met = make_drawing("whole", 0.5)
    expected = whole.run().weights()
    drawn = [sampled for sampled, _ in met.met]
    assert 2 <= sum(drawn) <= len(drawn) - 2
    first, before = make_drawing("run", 0.5, callbacks=[StopIn(2)])
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        first.run()
    second, after = make_drawing("run", 0.5)
    torch.manual_seed(99)
    second.run(resume=str(tmp_path / "run" / "checkpoints" / "last"))
    assert before.met + after.met == met.met
    for name, weight in expected.items():
        assert torch.equal(second.weights()[name], weight), name


def test_the_teacher_scores_what_was_drawn_and_nobody_takes_it_for_gold(make_drawing):
    """The loss and its gradient are the divergence at the drawn answers; cross-entropy on them would teach mistakes."""
    job, teacher = make_drawing("run", 1.0, dropout=0.0, epochs=0.1, micro_batch_size=4)
    gradients = {}

    class Watch(L.Callback):
        def on_before_optimizer_step(self, trainer, module, optimizer):
            named = module.model.named_parameters()
            gradients.update({name: p.grad.clone() for name, p in named if p.grad is not None})

    job.trainer.callbacks.insert(0, Watch())
    before = job.weights()
    job.run()
    (batch,) = teacher.batches
    assert batch.sampled
    end = job.module.model.processor.end_of_turn_id
    lengths = [sum(token != IGNORED for token in row) for row in batch.answers.tolist()]
    for row, length in zip(batch.answers.tolist(), lengths, strict=True):
        assert 1 <= length <= MAX_TOKENS
        assert end not in row[: length - 1]
        assert length == MAX_TOKENS or row[length - 1] == end
    model = job.module.model
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in before:
                parameter.copy_(before[name])
    own, _ = read(model, batch, Needs(), {})
    other, _ = read(teacher.model, batch, Needs(), {})
    told, said = (
        log_probabilities(side.answers.head(side.answers.states), model.processor.vocabulary, 2.0)
        for side in (other, own)
    )
    loss = 4 * (told.exp() * (told - said)).sum() / sum(lengths)
    logged = job.trainer.callback_metrics
    assert logged["train/ce"] == 0
    assert logged["train/token_kd"].item() == pytest.approx(loss.item(), rel=1e-4)
    model.zero_grad()
    (0.5 * loss).backward()
    scale = min(1.0, 1.0 / sum(p.grad.square().sum() for n, p in model.named_parameters() if n in gradients).sqrt())
    for name, parameter in model.named_parameters():
        if name in gradients:
            torch.testing.assert_close(gradients[name], parameter.grad * scale, rtol=1e-3, atol=1e-6)

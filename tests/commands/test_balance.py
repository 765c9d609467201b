"""Which tasks `balance` reaches: in the term of the gold answers, and in how often records are met."""

from collections import Counter
from itertools import chain

import pytest
import torch
from torch.nn.functional import cross_entropy

from kd_rag import config as configuration
from kd_rag.commands._balance import gold_term, sampling_weights
from kd_rag.data.sampling import StepSampler
from kd_rag.types import Record

DRAFTS = [("intent", "refund")] * 24 + [("intent", "eta")] * 6 + [("scene", "page")] * 15 + [("scene", "chat")] * 5
RECORDS = [Record(str(i), task, (), (), label) for i, (task, label) in enumerate(DRAFTS)]
INTENTS = RECORDS[:30]
LEFT_ALONE = "tasks.scene.balance=false"


def values(records, *overrides):
    """Return each record's cross-entropy, one answer token each."""
    logits = torch.randn(len(RECORDS), 7, generator=torch.Generator().manual_seed(0))[: len(records)]
    targets = torch.arange(len(records)) % 7
    term = gold_term(configuration.load([], ["model.path=x", *overrides]), 7, records)
    found = term(logits, targets, [(r.task, r.label) for r in records], lambda temperature: None)
    return found, cross_entropy(logits, targets, reduction="none")


@pytest.mark.parametrize(
    "settings",
    [["balance.loss_beta=0.9"], ["balance.focal_gamma=2"], ["balance.loss_beta=0.9", "balance.focal_gamma=2"]],
)
def test_a_task_without_balance_has_plain_cross_entropy_and_the_other_what_it_has_alone(settings):
    """Weights and factors meant for one task's rare labels that bend the other's loss."""
    mixed, plain = values(RECORDS, *settings, LEFT_ALONE)
    alone, _ = values(INTENTS, *settings)
    assert torch.equal(mixed[30:], plain[30:])
    torch.testing.assert_close(mixed[:30], alone)
    assert not torch.isclose(mixed[:30], plain[:30]).any()


def test_all_tasks_are_balanced_by_default():
    settings = ["balance.loss_beta=0.9", "balance.focal_gamma=2"]
    (found, plain), (named, _) = values(RECORDS, *settings), values(RECORDS, *settings, "tasks.scene.balance=true")
    assert torch.equal(found, named)
    assert not torch.isclose(found, plain).any()
    assert torch.equal(values(RECORDS)[0], plain)


def test_records_of_a_task_without_balance_are_met_once_an_epoch():
    """An epoch that rare labels of one task fill at the cost of the other's records."""
    config = configuration.load([], ["model.path=x", "balance.sampling_beta=0.999999", LEFT_ALONE])
    sampler = StepSampler(50, 8, epochs=40, seed=0, weights=sampling_weights(config, RECORDS))
    met = Counter(chain(*sampler))
    assert {pair: met[pair] for pair in met if pair[0] >= 30} == {
        (i, view): 1 for i in range(30, 50) for view in range(40)
    }
    seen = Counter(RECORDS[index].label for index, _ in met.elements())
    assert seen["refund"] == pytest.approx(seen["eta"], rel=0.1)
    assert seen.total() == 50 * 40


def test_without_a_beta_no_record_has_a_weight():
    assert sampling_weights(configuration.load([], ["model.path=x", LEFT_ALONE]), RECORDS) is None

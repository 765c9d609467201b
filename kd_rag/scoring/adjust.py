"""From the labels' log-likelihoods to the scores that predictions are made of.

In: one record's log-likelihoods. Out: scores, whose softmax are the probabilities. With both options off they are the
log-likelihoods themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from kd_rag.scoring.label_tree import LabelTree


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Scores per token of the label if `length_normalised`, less `prior_correction` times the label's log prior.

    A sum over tokens favours short labels, and training favours frequent ones. The remedy of the latter is the logit
    adjustment of Menon et al. 2021 (arXiv 2007.07314), whose tau is `prior_correction`. The prior is a label's share of
    train by `train_counts` (task: label: records), with one more record for every label, so that one that never
    occurs has a share too.
    """

    length_normalised: bool
    prior_correction: float
    train_counts: Mapping[str, Mapping[str, int]]

    def __call__(self, scores: Float[Tensor, " labels"], tree: LabelTree, task: str) -> Float[Tensor, " labels"]:
        """Return the scores of one record of `task`, whose labels are those of `tree`."""
        if self.length_normalised:
            scores = scores / scores.new_tensor([len(ids) for ids in tree.answers.values()])
        known = self.train_counts.get(task, {})
        counts = scores.new_tensor([known.get(label, 0) + 1 for label in tree.labels])
        return scores - self.prior_correction * (counts / counts.sum()).log()

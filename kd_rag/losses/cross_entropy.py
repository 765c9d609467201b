"""The term of the gold answer: logits at the answer rows -> nats a row, plain, focal or balanced by label."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import nll_loss

from kd_rag.losses.heads import log_probabilities
from kd_rag.losses.sides import Outcomes
from kd_rag.losses.terms import Label, Logits, answer_tokens
from kd_rag.types import Batch

FLOAT32_STEP = 2.0**-24
"""Half the distance of 1 from the next float32."""


class CrossEntropy:
    """-(1 - q)^focal_gamma log q, q = q(gold token); answers that the student drew are no gold and count nothing.

    A `focal_gamma` above 0 turns from tokens that are sure already (Lin et al. 2017); it is 0 for the tasks
    `unfocused`. `weights` multiply the rows of a label, mean 1 over train (Cui et al. 2019); a label that is missing
    there is a KeyError.
    """

    def __init__(
        self,
        vocabulary: int,
        focal_gamma: float = 0.0,
        weights: Mapping[Label, float] | None = None,
        unfocused: Collection[str] = (),
    ) -> None:
        self.vocabulary = vocabulary
        self.focal_gamma = focal_gamma
        self.weights = weights
        self.unfocused = unfocused

    def count(self, batch: Batch) -> int:
        """Return the number of gold answer tokens."""
        return 0 if batch.sampled else answer_tokens(batch)

    def __call__(
        self,
        logits: Logits,
        targets: Int[Tensor, " answers"],
        labels: Sequence[Label],
        teacher: Callable[[float], Outcomes],
    ) -> Float[Tensor, " answers"]:
        """Return each row's value in nats."""
        losses = nll_loss(log_probabilities(logits, self.vocabulary), targets, reduction="none")
        if self.focal_gamma:
            gammas = [0.0 if task in self.unfocused else self.focal_gamma for task, _ in labels]
            # Never 0: a power below 1 has no finite derivative there, and float32 rounds a sure q to 1.
            losses = (-(-losses).expm1()).clamp(min=FLOAT32_STEP) ** losses.new_tensor(gammas) * losses
        if self.weights is not None:
            losses = losses * losses.new_tensor([self.weights[label] for label in labels])
        return losses

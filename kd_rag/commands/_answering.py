"""One dialogue through a model, with everything that a page shows of it.

In: a source, a record without a label, and what the prompt may show. Out: an `Answer`.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import Any

from kd_rag.commands._prediction import Predictor
from kd_rag.commands._source import Source
from kd_rag.data.collator import Collator
from kd_rag.types import Record
from kd_rag.web.answer import Answer


@dataclass(frozen=True)
class Answerer:
    """A model with all that makes prompts of records."""

    predictor: Predictor

    @classmethod
    def of(cls, source: Source) -> Answerer:
        """Open the model, ready to answer."""
        return cls(Predictor.of(source))

    def __call__(self, record: Record, *, ocr: bool, passages: bool) -> Answer:
        """Return what the model says of `record`; a part that its run never shows stays out of the prompt."""
        own, started = self.predictor, time.perf_counter()
        shown = own.config.student.prompt
        parts = replace(shown, ocr=shown.ocr and ocr, passages=shown.passages and passages)
        example = own.preparation.examples([record], "eval", parts)[0, 0]
        collator = Collator(own.collator.processor, own.config.prompt, parts)
        batch = collator.prompts([example])
        prepared = time.perf_counter()
        (prediction,) = own.answers(batch)
        return Answer(
            probabilities=prediction.probabilities,
            lines=example.lines,
            passages=example.passages,
            prompt=self._text(batch.inputs.input_ids[0].tolist()),
            preparing_seconds=prepared - started,
            scoring_seconds=time.perf_counter() - prepared,
        )

    def _text(self, ids: list[int]) -> str:
        """Return the prompt as the model reads it, each picture's tokens counted instead of shown."""
        processor: Any = self.predictor.collator.processor
        token = processor.tokenizer.convert_ids_to_tokens(processor.picture_token_id)
        text: str = processor.tokenizer.decode(ids)
        return re.sub(f"(?:{re.escape(token)})+", lambda found: f"{token} × {len(found[0]) // len(token)}", text)

"""The records of the distillation benchmark, drawn from a seed.

In: a prompt length and a processor. Out: eight examples, each with a picture of 224 x 224 pixels (64 merged tokens),
a prompt of about that many tokens and an answer of four to eight; and the same records as conversations, for the naive
step and the peers, whose prompts and answers come out as the same token ids (`tests/benchmarks/test_workload.py`).
"""

from __future__ import annotations

import bisect
import random
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks._conversations import IMAGE_MARKER, Conversation
from benchmarks._settings import RECORDS
from kd_rag.commands._models import SAMPLE_SEED
from kd_rag.config import PromptConfig, PromptParts, TaskConfig
from kd_rag.data import sample
from kd_rag.data.collator import Collator, answer_ids
from kd_rag.data.prompts import messages
from kd_rag.models import Processor
from kd_rag.types import Dialogue, Example, Record, Role, Task, Turn

SEED = 0
PICTURE_SIDE_PIXELS = 224
ANSWER_TOKENS = (4, 5, 6, 7, 8)
TURN_WORDS = 12
ROLES: tuple[Role, Role] = ("user", "agent")
SHORTER_TOKENS = 2
"""Each prompt is so much shorter than the one before, because batches of real records are padded."""


def collator(processor: Processor) -> Collator:
    """Return what our side of the benchmark encodes the examples with."""
    return Collator(processor, PromptConfig(), PromptParts())


def draw(prompt_tokens: int, processor: Processor, folder: Path) -> list[Example]:
    """Return the examples whose prompts have about `prompt_tokens` tokens; their pictures are written to `folder`."""
    rng = random.Random(SEED)
    words = sorted({word for text in sample.texts(SAMPLE_SEED) for word in re.findall(r"\b[a-z]{3,}\b", text)})
    labels = [_label(rng, words, ANSWER_TOKENS[i % len(ANSWER_TOKENS)], processor) for i in range(RECORDS)]
    task = Task("intent", tuple(labels), TaskConfig().instruction)
    return [
        _fitted(
            Record(f"{i}", task.name, (), (_write_picture(rng, folder / f"{prompt_tokens}-{i}.png"),), label),
            task,
            rng.choices(words, k=prompt_tokens),
            prompt_tokens - SHORTER_TOKENS * i,
            collator(processor),
        )
        for i, label in enumerate(labels)
    ]


def conversations(examples: Sequence[Example]) -> list[Conversation]:
    """Return the examples in the form that the naive step and the peers read."""
    return [_conversation(example) for example in examples]


def _label(rng: random.Random, words: Sequence[str], tokens: int, processor: Processor) -> str:
    """Draw words until they make an answer of exactly `tokens`, the end of the turn included."""
    drawn = (" ".join(rng.sample(words, tokens - 1)) for _ in range(1000))
    return next(label for label in drawn if len(answer_ids(processor, label)) == tokens)


def _write_picture(rng: random.Random, path: Path) -> Path:
    coarse = Image.frombytes("RGB", (8, 8), rng.randbytes(8 * 8 * 3))
    coarse.resize((PICTURE_SIDE_PIXELS, PICTURE_SIDE_PIXELS)).save(path)
    return path


def _fitted(record: Record, task: Task, words: Sequence[str], tokens: int, encoder: Collator) -> Example:
    """Return the record with as many of `words` in its dialogue as make a prompt of at most `tokens`."""

    def length(count: int) -> int:
        return len(encoder.encode(_example(record, task, words[:count])).prompt)

    count = bisect.bisect_right(range(len(words)), tokens, key=length) - 1
    assert count > 0, f"a prompt without dialogue has more than {tokens} tokens"
    return _example(record, task, words[:count])


def _example(record: Record, task: Task, words: Sequence[str]) -> Example:
    said = [IMAGE_MARKER, *words]
    texts = [" ".join(said[i : i + TURN_WORDS]) for i in range(0, len(said), TURN_WORDS)]
    turns = tuple(Turn(ROLES[i % 2], text) for i, text in enumerate(texts))
    with Image.open(record.images[0]) as picture:
        dialogue = Dialogue(turns, (picture.convert("RGB"),))
    full = Record(record.id, record.task, turns, record.images, record.label)
    return Example(full, task, dialogue, passages=(), lines=())


def _conversation(example: Example) -> Conversation:
    system, user = messages(example, PromptConfig(), lambda text, max_tokens, keep: (text, 0))
    assert example.record.label is not None
    return Conversation(
        system=system["content"][0]["text"],
        user="".join(IMAGE_MARKER if part["type"] == "image" else part["text"] for part in user["content"]),
        answer=example.record.label,
        picture=example.record.images[0],
    )

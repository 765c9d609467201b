"""The model card of an exported run: what it was trained on, how well it does, and how it is asked.

In: a finished run. Out: Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator

from kd_rag.commands._source import RECIPE
from kd_rag.evaluation.runs import Run


def model_card(run: Run, name: str, moved: str) -> str:
    """Return the card; `moved` says by how much the export moved the logits."""
    return "\n".join([*_head(run, name), *_scores(run), *_making(run), *_use(name, moved)]) + "\n"


def _head(run: Run, name: str) -> Iterator[str]:
    base = run.config.model["path"]
    yield from ("---", "pipeline_tag: image-text-to-text", "library_name: transformers", "---", f"# {name}", "")
    yield f"Made by `kd_rag {run.facts['command']}` from `{base}`, seed {run.config.run.seed}. It names the label that"
    yield "fits a customer's dialogue or picture, from a closed set for each task:"
    yield ""
    for task, config in run.config.tasks.items():
        yield f"- **{task}** ({config.instruction}): {', '.join(config.labels or ())}"


def _scores(run: Run) -> Iterator[str]:
    yield from ("", f"## Scores on {run.metrics['split']}", "")
    yield "| task | records | accuracy | weighted F1 [95% interval] | macro F1 | NLL | ECE |"
    yield "|---|---|---|---|---|---|---|"
    for task, scores in run.metrics["tasks"].items():
        low, high = (100 * bound for bound in scores["weighted_f1_ci95"])
        yield (
            f"| {task} | {scores['n']} | {100 * scores['accuracy']:.2f} | {100 * scores['weighted_f1']:.2f} "
            f"[{low:.1f}, {high:.1f}] | {100 * scores['macro_f1']:.2f} | {scores['nll']:.3f} | {scores['ece']:.3f} |"
        )
    yield from ("", f"Average of the weighted F1: {run.metrics['average_score']:.2f}.")


def _making(run: Run) -> Iterator[str]:
    facts, trainer = run.facts, run.config.trainer
    yield from ("", "## Training", "")
    for path, digest in facts.get("data", {}).items():
        yield f"- data `{path}`: SHA-256 `{digest}`"
    yield f"- knowledge base: snapshot `{facts.get('knowledge_snapshot') or 'none'}`"
    lora = run.config.lora
    yield f"- adapters: {'none, every weight' if lora is None else f'LoRA rank {lora.r}, alpha {lora.alpha}'}"
    yield f"- {facts.get('steps', '?')} steps of {trainer.batch_size} records, learning rate {trainer.learning_rate:g}"
    yield f"- base weights: {', '.join(f'{key} `{value}`' for key, value in facts.get('model', {}).items())}"
    versions = ", ".join(f"{package} {version}" for package, version in facts.get("versions", {}).items())
    yield f"- versions: {versions}; commit `{facts.get('git')}`"
    yield f"- the whole configuration: `{RECIPE}`"


def _use(name: str, moved: str) -> Iterator[str]:
    yield from ("", "## Use", "")
    yield f"`python -m kd_rag predict --model {name} records.jsonl --out labels.jsonl` makes the prompts by `{RECIPE}`;"
    yield f"`vllm serve {name}` serves the same weights, template and pixel limits. By the export the run's logits"
    yield f"moved {moved}."

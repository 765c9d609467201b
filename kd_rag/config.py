"""The typed configuration: defaults here, then YAML files, then `key.sub=value` overrides, checked once.

In: file paths and override strings. Out: a `Config`. Each field is followed by its documentation. A component (an OCR
engine, a retriever, …) is a mapping `{name: …, **options}`; its options are checked against the signature of
the member that `name` means, so no option or default is written here a second time. When a later layer names
another member, the options of the former one are dropped, but for those that both declare alike.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kd_rag import _config_layers as layers
from kd_rag._config_augment import AugmentConfig
from kd_rag._config_balance import BalanceConfig
from kd_rag._config_distill import Component, DistillConfig, component
from kd_rag._config_knowledge import KnowledgeConfig
from kd_rag._config_ocr import DenoiseConfig, OcrConfig, split_ocr
from kd_rag._config_prompt import PromptConfig, PromptParts, Stages, StudentConfig, TaskConfig
from kd_rag._config_query import QueryConfig
from kd_rag._config_raft import RaftConfig
from kd_rag._config_reasoning import ReasoningConfig
from kd_rag.durable import write_whole
from kd_rag.registry import FAMILIES

__all__ = [
    "AugmentConfig",
    "BalanceConfig",
    "Component",
    "Config",
    "DataConfig",
    "DenoiseConfig",
    "DistillConfig",
    "EvaluationConfig",
    "KnowledgeConfig",
    "LoraConfig",
    "OcrConfig",
    "PromptConfig",
    "PromptParts",
    "QueryConfig",
    "RaftConfig",
    "ReasoningConfig",
    "RunConfig",
    "Stages",
    "StudentConfig",
    "TaskConfig",
    "TrainerConfig",
    "differences",
    "load",
    "save",
    "split_ocr",
]


@dataclass
class RunConfig:
    """The run folder `dir/name` and what makes the run repeatable."""

    name: str | None = None
    """Name of the run folder; every command that writes one needs it."""
    dir: str = "runs"
    """Folder that holds the run folders."""
    seed: int = 0
    """Seed of weights, record order, augmentation and dropout."""
    resume: bool = False
    """Continue an interrupted run from its last checkpoint instead of refusing a folder that exists."""


@dataclass
class DataConfig:
    """Record files of the three splits."""

    train: str | None = None
    valid: str | None = None
    test: str | None = None


@dataclass
class LoraConfig:
    """Low-rank adapters (Hu et al. 2021); the paper's best setting by default."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.05
    target_modules: list[str] | None = None
    """Names or suffixes of linear layers; null takes the model family's attention and MLP projections."""
    vision: bool = False
    """Adapt the vision tower as well."""


@dataclass
class TrainerConfig:
    """The optimiser's steps; one step sees `batch_size` records, `micro_batch_size` at a time."""

    epochs: float = 3.0
    batch_size: int = 16
    micro_batch_size: int = 4
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    warmup_share: float = 0.1
    """Share of all steps in which the learning rate rises linearly; it then falls as a cosine to zero."""
    max_grad_norm: float = 1.0
    val_check_interval: float = 1.0
    """Epochs between two evaluations: after the step nearest to each multiple, and after the last step."""
    precision: str = "32-true"
    """`32-true`, or `bf16-mixed`, in which matrix products are rounded to bfloat16 and sums are not."""
    accelerator: str = "auto"
    devices: int = 1
    num_workers: int = 0
    keep_pictures: bool = False
    """Keep what a frozen vision tower makes of each picture on disk, so that it runs once on each in all epochs and
    runs; each augmented view is a picture of its own (`augment.views`)."""
    max_steps: int | None = None
    """Stop after so many steps whatever `epochs` says."""


@dataclass
class EvaluationConfig:
    """How a split is scored."""

    batch_size: int = 8
    bootstrap_samples: int = 1000
    """Resamples behind the 95% interval of the weighted F1."""
    length_normalised: bool = False
    """Compare labels by their log-likelihood per token; long labels then stand beside short ones."""
    prior_correction: float = 0.0
    """Subtract so many times the log of a label's share of its task in train (Menon et al. 2021); rare labels then are
    found. For all tasks: it does not ask how a task was trained (`tasks.NAME.balance`)."""


@dataclass
class Config:
    """Everything a command may be told."""

    run: RunConfig = field(default_factory=RunConfig)
    data: DataConfig = field(default_factory=DataConfig)
    tasks: dict[str, TaskConfig] = field(default_factory=dict)
    model: Component = component("models", name="qwen2_vl")
    lora: LoraConfig | None = field(default_factory=LoraConfig)
    """`lora=null` trains every weight."""
    student: StudentConfig = field(default_factory=StudentConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    ocr: Component = component("ocr", shared=OcrConfig, name="doctr")
    """An engine and its options, and beside them what holds for every engine (`OcrConfig`)."""
    knowledge: KnowledgeConfig = field(default_factory=KnowledgeConfig)
    retriever: Component = component("retrievers", name="none")
    query: QueryConfig = field(default_factory=QueryConfig)
    raft: RaftConfig = field(default_factory=RaftConfig)
    reasoning: ReasoningConfig = field(default_factory=ReasoningConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    teacher: Component = component("teachers", name="online")
    distill: DistillConfig = field(default_factory=DistillConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    cache_dir: str = "~/.cache/kd_rag"
    """Where texts read from pictures and embedded models are kept."""


def load(
    files: Sequence[str | Path] = (), overrides: Sequence[str] = (), families: Collection[str] = tuple(FAMILIES)
) -> Config:
    """Merge the defaults, the YAML `files` in order and the `key=value` overrides into a checked `Config`.

    Only the components of `families` are checked: a command that builds no model need not import one. Raises InputError
    naming the key, what was found, what is expected and the nearest valid key.
    """
    return layers.merged(Config, [Path(f) for f in files], overrides, families)


def save(config: Config, path: Path) -> None:
    """Write the whole resolved configuration as YAML, so that `--config path` repeats the run."""
    write_whole(path, [layers.to_yaml(config).encode()])


def differences(one: Config, other: Config) -> dict[str, tuple[Any, Any]]:
    """Return `{dotted key: (value in one, value in other)}` where two configurations differ."""
    flat_one, flat_other = layers.flat(one), layers.flat(other)
    keys = sorted(flat_one.keys() | flat_other.keys())
    return {k: (flat_one.get(k), flat_other.get(k)) for k in keys if flat_one.get(k) != flat_other.get(k)}

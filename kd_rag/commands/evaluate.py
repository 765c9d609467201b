"""Score a run or a model folder on labelled records.

Labels are scored by their likelihood. --mode has the model speak as well: `generate` takes the likeliest token that
leads to a label, `free` the likeliest of all, where a text may be no label; `vote` does both and takes the commonest
answer of the three. Their scores stand under `modes`, beside those of the label tree.

With --run the run's own configuration is used and the scores go into its folder; any change of the configuration needs
--out, since a run folder holds the scores of its own configuration. Examples:
  python -m kd_rag evaluate --run runs/demo/student
  python -m kd_rag evaluate --run runs/demo/student --out runs/demo/student-without-ocr tasks.image_scene.ocr.eval=false
  python -m kd_rag evaluate --run runs/demo/student --baselines --mode vote
  python -m kd_rag evaluate --model exported/student --out runs/exported
  python -m kd_rag evaluate --config configs/demo/base.yaml --out runs/hub model.path=Qwen/Qwen2-VL-2B-Instruct
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kd_rag.cli import add_config_arguments
from kd_rag.types import InputError

MODES = {"label_tree": [], "generate": ["generate"], "free": ["free"], "vote": ["generate", "free"]}
"""What `--mode` may be, and in which ways the model then speaks, beside the label tree."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--run", metavar="RUN", help="a run folder; its best checkpoint is scored")
    parser.add_argument("--model", metavar="DIR", help="an exported folder, scored with the recipe in it")
    parser.add_argument("--split", default="test", choices=["train", "valid", "test"], help="default: test")
    parser.add_argument(
        "--mode", default="label_tree", choices=MODES, help="how the model answers; default: label_tree"
    )
    parser.add_argument("--baselines", action="store_true", help="score a majority class and a linear SVM beside it")
    parser.add_argument("--out", metavar="DIR", help="write the scores to this new folder instead of the run's")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Score and write `metrics.json`, `predictions-SPLIT.jsonl` and `speed.json`.

    With `--out` the records of data.valid are scored too, where there are some, to fit the temperature on.
    """
    from kd_rag.commands._baselines import baseline_scores
    from kd_rag.commands._evaluation import write_scores, write_speed
    from kd_rag.commands._models import model_identity, open_model
    from kd_rag.commands._modes import mode_scores
    from kd_rag.commands._parts import adjustment, build_preparation, label_trees, read_data
    from kd_rag.commands._run_folder import RunFolder, data_facts
    from kd_rag.commands._source import open_source
    from kd_rag.data.collator import Collator
    from kd_rag.data.datamodule import Loaders
    from kd_rag.evaluation.predictions import write_predictions
    from kd_rag.training.callbacks import Stopwatch
    from kd_rag.training.module import Distiller
    from kd_rag.training.tensorboard import write_final_scores
    from kd_rag.training.trainer import evaluating

    folder = _folder(args)
    source = open_source(args)
    config = source.config
    if args.out:
        config.run.dir, config.run.name, config.run.resume = str(folder.parent), folder.name, False
    held_out = ["valid"] if args.out and args.split != "valid" and config.data.valid else []
    data = read_data(config, [args.split, *held_out, *(["train"] if args.out or args.baselines else [])])
    model = open_model(source.path, config)
    preparation = build_preparation(config, data.tasks)
    collator = Collator(model.processor, config.prompt, config.student.prompt)
    facts = data_facts(data.files, data.records["train"]) if args.out else {}
    # The prior is that of the labels a run was trained on, wherever it is scored.
    known = facts["train_label_counts"] if source.train_label_counts is None else source.train_label_counts
    module = Distiller(model, label_trees(model.processor, data.tasks), config, adjust=adjustment(config, known))
    for split in (*held_out, args.split):
        before = module.predictions
        examples = preparation.examples(data.records[split], "eval", config.student.prompt)
        loaders = Loaders(collator, evaluation=examples, evaluation_batch_size=config.evaluation.batch_size)
        watch = Stopwatch()
        evaluating(config.trainer, watch).validate(module, datamodule=loaders, verbose=False)
    if args.out:
        RunFolder.make(config, "evaluate").note(
            **facts,
            knowledge_snapshot=preparation.retriever.snapshot,
            model=model_identity(source.path, config),
            trainable_parameters=0,
        )
    if held_out:
        write_predictions(folder / "predictions-valid.jsonl", before)
    if args.baselines:
        module.scores["baselines"] = baseline_scores(config, data, preparation, args.split, module.predictions)
    if args.mode != "label_tree":
        module.scores["modes"] = mode_scores(args.mode, module, loaders.val_dataloader())
    write_scores(folder, args.split, module, loaders.evaluation.leaks)
    write_final_scores(folder, args.split, module.scores)
    write_speed(folder, watch, len(module.predictions), config.evaluation.batch_size)


def _folder(args: argparse.Namespace) -> Path:
    """Return where the scores go; raises InputError where they would overwrite or be of another configuration."""
    if not args.out and (not args.run or args.config or args.overrides):
        raise InputError("--out DIR is needed: without it scores go into the folder of an unchanged --run")
    if args.out and Path(args.out).exists():
        raise InputError(f"{args.out}: exists; choose another --out")
    return Path(args.out or args.run)

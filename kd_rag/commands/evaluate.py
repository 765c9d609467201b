"""Score a run or a model folder on labelled records.

With --run the run's own configuration is used and the scores go into its folder; any change of the configuration needs
--out, since a run folder holds the scores of its own configuration. Examples:
  python -m kd_rag evaluate --run runs/demo/student
  python -m kd_rag evaluate --run runs/demo/student --out runs/demo/student-without-ocr tasks.image_scene.ocr.eval=false
  python -m kd_rag evaluate --run runs/demo/student --baselines
  python -m kd_rag evaluate --model exported/student --out runs/exported
  python -m kd_rag evaluate --config configs/demo/base.yaml --out runs/hub model.path=Qwen/Qwen2-VL-2B-Instruct
"""

from __future__ import annotations

import argparse

from kd_rag.cli import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--run", metavar="RUN", help="a run folder; its best checkpoint is scored")
    parser.add_argument("--model", metavar="DIR", help="an exported folder, scored with the recipe in it")
    parser.add_argument("--split", default="test", choices=["train", "valid", "test"], help="default: test")
    parser.add_argument("--baselines", action="store_true", help="score a majority class and a linear SVM beside it")
    parser.add_argument("--out", metavar="DIR", help="write the scores to this new folder instead of the run's")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Score and write `metrics.json`, `predictions-SPLIT.jsonl` and `speed.json`."""
    from pathlib import Path
    from statistics import median

    from kd_rag.commands._baselines import baseline_scores
    from kd_rag.commands._evaluation import write_scores
    from kd_rag.commands._models import model_identity, open_model
    from kd_rag.commands._parts import adjustment, build_preparation, label_trees, read_data
    from kd_rag.commands._run_folder import RunFolder, data_facts, write_json
    from kd_rag.commands._source import open_source
    from kd_rag.data.collator import Collator
    from kd_rag.data.datamodule import Loaders
    from kd_rag.training.callbacks import Stopwatch
    from kd_rag.training.module import Distiller
    from kd_rag.training.trainer import evaluating
    from kd_rag.types import InputError

    if not args.out and (not args.run or args.config or args.overrides):
        raise InputError("--out DIR is needed: without it scores go into the folder of an unchanged --run")
    source = open_source(args)
    config = source.config
    folder = Path(args.out or args.run)
    if args.out:
        if folder.exists():
            raise InputError(f"{folder}: exists; choose another --out")
        config.run.dir, config.run.name, config.run.resume = str(folder.parent), folder.name, False
    data = read_data(config, [args.split, *(["train"] if args.out or args.baselines else [])])
    model = open_model(source.path, config)
    preparation = build_preparation(config, data.tasks)
    collator = Collator(model.processor, config.prompt, config.student.prompt)
    loaders = Loaders(
        collator,
        evaluation=preparation.examples(data.records[args.split], "eval", config.student.prompt),
        evaluation_batch_size=config.evaluation.batch_size,
    )
    facts = data_facts(data.files, data.records["train"]) if args.out else {}
    # The prior is that of the labels a run was trained on, wherever it is scored.
    known = facts["train_label_counts"] if source.train_label_counts is None else source.train_label_counts
    adjust = adjustment(config, known)
    module = Distiller(model, label_trees(model.processor, data.tasks), config, adjust=adjust)
    watch = Stopwatch()
    evaluating(config.trainer, watch).validate(module, loaders.val_dataloader(), verbose=False)
    if args.out:
        RunFolder.make(config, "evaluate").note(
            **facts,
            knowledge_snapshot=preparation.retriever.snapshot,
            leaks=loaders.evaluation.leaks,
            model=model_identity(source.path, config),
            trainable_parameters=0,
        )
    size, rate = config.evaluation.batch_size, len(module.predictions) / watch.seconds
    speed = {"batch_size": size, "records_per_second": rate, "median_batch_seconds": median(watch.batch_seconds)}
    if args.baselines:
        module.scores["baselines"] = baseline_scores(config, data, preparation, args.split, module.predictions)
    write_scores(folder, args.split, module)
    write_json(folder / "speed.json", speed)  # not among the scores, which one seed repeats to the last digit
    print(f"speed: {rate:.2f} records/s in batches of {size}")

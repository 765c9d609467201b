"""Every recipe loads, and every command that the README shows is one that the programs take."""

import re
import shlex
from pathlib import Path

import pytest

from kb_builder.__main__ import COMMANDS as KB_COMMANDS
from kd_rag import cli, config
from kd_rag.__main__ import COMMANDS
from kd_rag.commands._ablation_plan import read_plan

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted(ROOT.glob("configs/*/*.yaml"))
SHOWN = re.findall(r"^\.venv/bin/python -m (kd_rag|kb_builder) (.+?)$", (ROOT / "README.md").read_text(), re.M)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_recipe_is_short_says_what_it_is_and_loads(recipe):
    text = recipe.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert text.count("\n") <= 30
    if "ablation:" in text.splitlines():
        assert read_plan([str(recipe)], [], ROOT / "runs" / "never").jobs
    else:
        config.load([recipe.parent / "base.yaml", recipe])


def test_the_recipes_of_a_task_train_for_the_same_steps():
    """A student that trained longer than the distilled one makes distillation look useless, or the reverse."""
    for folder, student, distilled in (("demo", "student", "distill"), ("mdsirc", "student_2b", "distill_2b")):
        base = ROOT / "configs" / folder
        one = config.load([base / "base.yaml", base / f"{student}.yaml"])
        other = config.load([base / "base.yaml", base / f"{student}.yaml", base / f"{distilled}.yaml"])
        assert one.trainer == other.trainer
        assert one.model == other.model


def test_the_readme_shows_commands():
    assert len(SHOWN) >= 6


@pytest.mark.parametrize(("program", "line"), SHOWN, ids=[line[:40] for _, line in SHOWN])
def test_a_command_of_the_readme_is_accepted(program, line):
    commands = COMMANDS if program == "kd_rag" else KB_COMMANDS
    args = cli._parse(cli._parser(program, commands), shlex.split(line, comments=True))
    files = [ROOT / f for f in getattr(args, "config", [])]
    assert config.load(files, [o for o in getattr(args, "overrides", []) if "=" in o]).run.dir

"""The house rules that a machine can check: who imports whom, where heavy libraries live, how long things are."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*ROOT.glob("kd_rag/**/*.py"), *ROOT.glob("kb_builder/**/*.py"), *ROOT.glob("benchmarks/**/*.py")])

LEVELS = [
    {"commands"},
    {"training", "web"},
    {"evaluation", "teachers"},
    {"scoring"},
    {"data", "models", "losses", "retrievers", "ocr", "augmentations"},
    {"knowledge"},
    {"pictures", "tensor_store", "config", "cli"},
    {"_config_layers", "_config_ablation", "_config_distill", "_config_ocr", "_config_prompt", "_config_query"},
    {"registry", "_config_errors", "_config_search", "durable"},
    {"types"},
]
"""Rooms from top to bottom; a room imports from rooms below it only."""
ROOMS = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

HEAVY = {
    "omegaconf": {"kd_rag/_config_layers.py", "kd_rag/_config_errors.py"},
    "chromadb": {"kd_rag/knowledge"},
    "sentence_transformers": {"kd_rag/knowledge"},
    "bm25s": {"kd_rag/retrievers"},
    "transformers": {"kd_rag/models"},
    "peft": {"kd_rag/models"},
    "lightning": {"kd_rag/training", "kd_rag/data/datamodule.py"},
    "doctr": {"kd_rag/ocr"},
    "rapidocr": {"kd_rag/ocr"},
    "gradio": {"kd_rag/web"},
    "ray": {"kb_builder/cluster.py"},
    "optuna": {"kd_rag/commands/_search_study.py"},
    "sklearn": {"kd_rag/evaluation"},
}


def imported(path):
    """Return (module, line) of every import in a file, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def room(module):
    parts = module.split(".")
    return parts[1] if parts[0] == "kd_rag" and len(parts) > 1 else None


def own_room(path):
    relative = path.relative_to(ROOT).with_suffix("")
    return relative.parts[1] if relative.parts[0] == "kd_rag" else None


@pytest.mark.parametrize("path", [p for p in SOURCES if own_room(p) in ROOMS], ids=lambda p: p.name)
def test_imports_go_down_only(path):
    own = own_room(path)
    for module, line in imported(path):
        assert not module.startswith("kb_builder"), f"{path}:{line}: kd_rag never imports kb_builder"
        other = room(module)
        if other in ROOMS and other != own:
            assert ROOMS[other] > ROOMS[own], f"{path}:{line}: {own} may not import {other}"


@pytest.mark.parametrize("family", ["augmentations", "ocr", "retrievers", "models", "teachers"])
def test_family_members_never_import_each_other(family):
    """A member that leans on another cannot be removed or replaced alone."""
    members = {p.stem for p in (ROOT / "kd_rag" / family).glob("*.py") if not p.stem.startswith("_")}
    for member in members:
        for module, line in imported(ROOT / "kd_rag" / family / f"{member}.py"):
            parts = module.split(".")
            others = members - {member}
            assert parts[:2] != ["kd_rag", family] or parts[2] not in others, f"{member}.py:{line}: imports {module}"


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_have_one_room(library):
    for path in SOURCES:
        relative = path.relative_to(ROOT).as_posix()
        allowed = relative.startswith("benchmarks/") or any(relative.startswith(room) for room in HEAVY[library])
        for module, line in imported(path):
            assert allowed or module.split(".")[0] != library, f"{relative}:{line}: imports {library}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_sizes_and_docstrings(path):
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert source.count("\n") <= 200, "files stay under 200 lines"
    assert not source.strip() or ast.get_docstring(tree), "every file says what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines; functions stay under 60"

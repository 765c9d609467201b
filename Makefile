# Two commands on a fresh machine with python3 (venv, pip) and make: `make demo` and `make test`.
PYTHON ?= python3
# Compiled modules are kept: without them each command would spend half a minute on imports.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
DEMO := runs/demo
BASE := --config configs/demo/base.yaml

.PHONY: demo test lint install browser
install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[demo,dev]'
	touch $@

demo: install
	rm -rf $(DEMO)
	$(BIN)/python -m kd_rag data sample --out $(DEMO)/data --seed 0
	$(BIN)/python -m kb_builder ingest $(DEMO)/data/knowledge.jsonl $(BASE)
	$(BIN)/python -m kd_rag fit $(BASE) --config configs/demo/teacher.yaml
	$(BIN)/python -m kd_rag distill $(BASE) --config configs/demo/student.yaml --config configs/demo/distill.yaml
	$(BIN)/python -m kd_rag fit $(BASE) --config configs/demo/student.yaml
	for run in teacher distilled student; do $(BIN)/python -m kd_rag evaluate --run $(DEMO)/$$run || exit 1; done
	$(BIN)/python -m kd_rag report $(DEMO)/teacher $(DEMO)/distilled $(DEMO)/student --out $(DEMO)/report
	@echo "report:      $(DEMO)/report/report.html"
	@echo "run folders: $(DEMO)/teacher $(DEMO)/distilled $(DEMO)/student"
	@echo "TensorBoard: $(BIN)/tensorboard --logdir $(DEMO)"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The page is tested in a real browser; without one, and without the rights to install it, that test says so and is skipped.
browser:
	command -v chromium >/dev/null || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	then apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium >/dev/null; fi || true

test: lint browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

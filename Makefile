# make setup, run, test, lint, bench, study. Everything runs in .venv, with the tested versions of
# constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.musicrec-setup
BENCH_STAMP := $(VENV)/.musicrec-bench
STUDY_STAMP := $(VENV)/.musicrec-study
PLAYER_STAMP := $(VENV)/.musicrec-player

.PHONY: setup run player test lint bench study clean

setup: $(STAMP)

# Done again only when what it depends on has changed.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

# Both learners on the embedded catalogue, then compared.
run: setup
	$(BIN)/python train.py --agent q-learning --out runs/q-learning --overwrite
	$(BIN)/python train.py --agent dueling-dqn --out runs/dueling-dqn --overwrite
	$(BIN)/python evaluate.py runs/q-learning runs/dueling-dqn --out runs/comparison
	@echo
	@echo "Figures:     runs/comparison/comparison.png, runs/*/learning_curve.png"
	@echo "TensorBoard: $(BIN)/tensorboard --logdir runs"

# The page on which one presses Like and Dislike, at http://127.0.0.1:8000/. ARGS="--port 8080"
# passes arguments on; ARGS="--simulate 200" lets a simulated listener press.
player: setup $(PLAYER_STAMP)
	$(BIN)/python recommend.py $(ARGS)

$(PLAYER_STAMP): $(STAMP)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[player]"
	touch $@

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Also installs the peers, again only when what this depends on has changed. ARGS="--only vector"
# passes arguments on; --full searches the best of twelve settings of the stock DQN.
bench: setup $(BENCH_STAMP)
	$(BIN)/python -m bench $(ARGS)

$(BENCH_STAMP): $(STAMP)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[bench]"
	touch $@

# All runs of the study that the tables do not hold yet, then docs/results.md. Safe to stop and to
# start again. ARGS="--suites musicrec" passes arguments on to the runs; with ARGS="--engine ray
# --address auto" they are made on a Ray cluster.
study: setup $(STUDY_STAMP)
	$(BIN)/python -m study run $(ARGS)
	$(BIN)/python -m study report

$(STUDY_STAMP): $(STAMP)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[study]"
	touch $@

clean:
	rm -rf $(VENV) build dist runs

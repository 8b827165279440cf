# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# An editable install links files one by one, so that nothing but `coatcheck` can be imported. A change within a file is
# seen at once; another set of files needs the install again, and so has another name.
FILES := $(shell find app.py cli.py commands engine handlers providers schemas -name '*.py' | sort | cksum | cut -d' ' -f1)
INSTALLED := $(VENV)/installed-$(FILES)
# LiteLLM needs older versions of what the tests use: it is tested in an environment of its own.
LITELLM := .venv-litellm
LITELLM_INSTALLED := $(LITELLM)/installed-$(FILES)
# Two at once, file by file: more would each load the models.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
TEST_MODELS := smollm2-135m-instruct minilm-l6-v2 whisper-tiny.en

.PHONY: demo serve test check bench bench-long storm clean

demo: $(INSTALLED)
	@$(BIN)/coatcheck models pull
	@$(BIN)/coatcheck demo

serve: $(INSTALLED)
	@$(BIN)/coatcheck models pull
	@$(BIN)/coatcheck serve

test: $(INSTALLED) $(LITELLM_INSTALLED)
	@$(BIN)/coatcheck models pull $(TEST_MODELS)
	$(PYTEST)

check: $(INSTALLED) $(LITELLM_INSTALLED)
	@$(BIN)/coatcheck models pull $(TEST_MODELS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p coatcheck
	$(PYTEST) --cov --cov-report=term

bench: $(INSTALLED)
	$(BIN)/python -m bench

bench-long: $(INSTALLED)
	$(BIN)/python -m bench --long

# A hundred rounds of kill -9 under load; other options: make storm STORM="--rounds 1000 --seed 7".
storm: $(INSTALLED)
	$(BIN)/python -m tests.storm $(STORM)

$(INSTALLED): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --upgrade pip
	@$(BIN)/python -m pip install -qq --config-settings editable_mode=strict -e '.[local,test]'
	@touch $@

$(LITELLM_INSTALLED): pyproject.toml
	@test -x $(LITELLM)/bin/python || $(PYTHON) -m venv $(LITELLM)
	@$(LITELLM)/bin/python -m pip install -q --upgrade pip
	@$(LITELLM)/bin/python -m pip install -qq --config-settings editable_mode=strict -e '.[litellm]'
	@touch $@

clean:
	rm -rf $(VENV) $(LITELLM) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage* .hypothesis

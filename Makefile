# wmh-node: `make demo` runs the main job, `make test` runs every test; both make the environment first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
export WMH_NODE_TEST_DATA ?= $(DATA)
# Tests wait for peers: two processes leave two cores idle for a seventh of the time, three keep them busy. A file stays in
# one process: what its fixtures start is started once. Files begin in the order of tests/conftest.py, the longest first.
PARALLEL ?= -n 3 --dist loadfile --no-loadscope-reorder
# Tests start hundreds of Python processes: each would compile this code again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: cohort-memory intensity-limits help install peers demo viewer test soak a-year quick check docs format bench image reference-model baselines anatomy pretraining vendor-scores doubt reference-dsc interval-coverage brain-masks agreement plausibility clean

help:  ## what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

install: $(VENV)/.installed  ## make .venv with .venv/bin/wmh-node in it

$(VENV)/.installed: pyproject.toml constraints.txt
	@bash deploy/scripts/make-environment $(VENV) $(PYTHON)
	@touch $@

peers:  ## install the real peers that the tests talk to (Debian packages, JavaScript packages)
	@bash deploy/scripts/install-peers
	@bash deploy/scripts/install-node-peers

demo: install  ## run the main job on a phantom, or on INPUT=<folder of DICOM>; OUT=<folder>
	$(BIN)/wmh-node demo $(if $(INPUT),--input "$(INPUT)") --out "$(or $(OUT),wmh-demo)"

viewer: install peers  ## look at a phantom, or INPUT=<folder of DICOM>, and its results in OHIF; OUT=<folder>, PORT=3000
	$(BIN)/wmh-node viewer $(if $(INPUT),--input "$(INPUT)") --out "$(or $(OUT),wmh-viewer)" --port $(or $(PORT),3000)

test: install peers  ## every test, against the real peers
	$(BIN)/python -m pytest $(PARALLEL) --durations=15 $(ARGS)

soak: install peers  ## kills, power cuts, hostile peers and files; KILLS=20 (1000 before a release), TALLY=FILE to go on another day; not a part of test
	$(BIN)/python tests/soak/soak.py --kills $(or $(KILLS),20) $(if $(TALLY),--tally "$(TALLY)") $(if $(SECONDS),--seconds $(SECONDS))

a-year: install  ## a year of 100 series a day on a moved clock: the disk stays below its mark; DAYS=365, A_DAY=100 (half an hour)
	$(BIN)/python tests/support/a_year.py --days $(or $(DAYS),365) --a-day $(or $(A_DAY),100)

quick: PARALLEL = -n 2 --dist loadfile --no-loadscope-reorder
quick: install  ## the tests for the work between: no peers, nothing slow; some minutes
	WMH_NODE_TEST_PEERS=none $(BIN)/python -m pytest $(PARALLEL) -q -m "not slow and not shared_data" \
		$(or $(ARGS),tests/db tests/segmentation tests/dicom_node tests/docs)

check: install docs  ## ruff, mypy, import rules, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: install  ## the documentation site, in docs/_build/html; a warning is an error
	$(BIN)/sphinx-build -n -W --keep-going -q -b html docs docs/_build/html

format: install  ## ruff's fixes and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

BENCH := runs/bench
QUEUE_PEERS := $(VENV)-queues

$(QUEUE_PEERS)/.installed: tests/benchmarks/peers.txt
	$(PYTHON) -m venv $(QUEUE_PEERS)
	$(QUEUE_PEERS)/bin/pip install -q -r $<
	@touch $@

TORCH_PEER := $(VENV)-torch

$(TORCH_PEER)/.installed: tests/benchmarks/torch_peer.txt
	$(PYTHON) -m venv $(TORCH_PEER)
	$(TORCH_PEER)/bin/pip install -q -r $<
	@touch $@

bench: install peers $(QUEUE_PEERS)/.installed $(TORCH_PEER)/.installed  ## benchmarks beside the peers, as JSON with ratios in runs/bench
	mkdir -p $(BENCH)
	$(BIN)/python tests/benchmarks/receiving.py --json | tee $(BENCH)/receiving.json
	$(BIN)/python tests/benchmarks/sending.py --json | tee $(BENCH)/sending.json
	$(BIN)/python tests/benchmarks/claim.py --peers $(QUEUE_PEERS)/bin/python --json | tee $(BENCH)/claim.json
	$(BIN)/python tests/benchmarks/history.py --json | tee $(BENCH)/history.json
	$(BIN)/python tests/benchmarks/waiting.py --json | tee $(BENCH)/waiting.json
	$(BIN)/python tests/benchmarks/inference.py --json | tee $(BENCH)/inference.json
	$(BIN)/python tests/benchmarks/one_series.py --json | tee $(BENCH)/one_series.json
	$(BIN)/python tests/benchmarks/page_load.py --json | tee $(BENCH)/page_load.json
	$(BIN)/python tests/benchmarks/training_step.py --torch-python $(TORCH_PEER)/bin/python --json | tee $(BENCH)/training_step.json

cohort-memory: install  ## memory, disk and time of train and evaluate as a cohort grows; PATIENTS="100 2000" (hours)
	$(BIN)/python tests/benchmarks/cohort.py --patients $(or $(PATIENTS),100 2000)

image:  ## build the image wmh-node with buildah; BASE=<image>, TARGET=worker-gpu, TAG=<name>
	@bash deploy/scripts/build-image $(or $(TARGET),node) $(or $(TAG),wmh-node)

runs/phantoms: install
	$(BIN)/python -m dicom_node.demo.phantom.training_cases --out $@ --count 24 --first-seed 1000

CASES := "$(DATA)/flair-wmh" --patients training/data/patients/ms3seg.csv
FOLDS := $(BIN)/wmh-node train $(CASES) --scheme folds

baselines: install  ## train the paper's recipe on the same folds, for `wmh-node compare` (half a day on 2 cores)
	for preset in paper-2024-half paper-2024-bf16 paper-2024-half-unet; do \
		$(FOLDS) --preset $$preset --out runs/$$preset && cp runs/$$preset/scores.json docs/evidence/$$preset.json || exit 1; \
	done

# begun-fold1.npz has 500 steps on drawn scans alone and 600 with real masks, without the patients of fold 1.
runs/anatomy/state.json: install
	$(BIN)/python -m training.synthesis.stream --label-maps "$(DATA)/label-maps" --out runs/scans --count 340
	$(BIN)/python -m training.bundle.anatomy.fit --scans runs/scans --out runs/anatomy --steps 4000 --threads 2 --rate 0.0015 \
		--start training/bundle/anatomy/begun-fold1.npz --data "$(DATA)/flair-wmh" --stripped "$(DATA)/flair-mslesseg" --fold 1

anatomy: runs/anatomy/state.json  ## train the anatomy network and print its scores (an hour on 2 cores)
	$(BIN)/python -m training.bundle.anatomy.score --run runs/anatomy --data "$(DATA)/flair-wmh" --fold 1

# Begins with the steps that begun-pretraining.npz has behind it; runs/pretraining goes first where it is there.
pretraining: install  ## go on with the pretraining of the next model; stop and start it at will (8 hours on 2 cores)
	$(BIN)/python -m training.synthesis.stream --label-maps "$(DATA)/label-maps" --out runs/scans --count 1200
	$(BIN)/python -m training.fit.pretraining pretrain --scans runs/scans --out runs/pretraining --steps 30000 \
		--start training/fit/begun-pretraining.npz

# Goes on where it was: the pretraining's export, the cohort and the members stay in runs/.
runs/cohort: install
	$(BIN)/python -m training.bundle.anatomy.cohort --out $@ --data "$(DATA)/flair-wmh" --patients training/data/patients/ms3seg.csv \
		--data "$(DATA)/flair-mslesseg" --patients training/data/patients/mslesseg.csv

# begun-pretraining.npz is an export of `make pretraining`; START=runs/pretrained.npz for a newer one.
NEXT := $(BIN)/wmh-node train runs/cohort --scheme folds --synthetic runs/scans --set compute=float32
SHIPPED := --about training/bundle/reference.toml --data-name "MS3SEG and MSLesSeg" --version $(or $(VERSION),1.0.0) \
	--licence "CC-BY-4.0 (weights trained on MS3SEG and MSLesSeg, CC BY 4.0; attribution in MODEL_CARD.md)"

reference-model: install runs/cohort runs/phantoms  ## train the next bundle from what is pretrained (five hours on 2 cores); the shipped one is older (docs/adr/0016)
	$(BIN)/python -m training.synthesis.stream --label-maps "$(DATA)/label-maps" --out runs/scans --count 300
	$(BIN)/python -m training.bundle.anatomy.from_bundle --out runs/anatomy-shipped
	$(BIN)/python -m training.bundle.anatomy.score --run runs/anatomy-shipped --data "$(DATA)/flair-wmh" --fold 1
	$(NEXT) --synthetic-count 300 --preset reference-brain --start $(or $(START),training/fit/begun-pretraining.npz) --out runs/first-stage
	$(NEXT) --synthetic-count 300 --preset second-reference-brain --start runs/first-stage --synthetic runs/phantoms \
		--out runs/second-stage --anatomy runs/anatomy-shipped $(SHIPPED)
	$(BIN)/python -m training.bundle.pseudo_labels --slices "$(DATA)/stroke-slices/soop_axial_slices.npz" \
		--bundle runs/second-stage/bundle --out runs/strokes --count 480
	$(NEXT) --synthetic-count 120 --preset third-reference-brain --start runs/second-stage --synthetic runs/phantoms \
		--synthetic runs/strokes --out runs/third-stage --anatomy runs/anatomy-shipped $(SHIPPED)
	$(NEXT) --synthetic-count 12 --preset fourth-reference-brain --start runs/third-stage --synthetic runs/strokes \
		--out runs/fourth-stage --anatomy runs/anatomy-shipped $(SHIPPED)
	$(BIN)/python -m training.bundle.pseudo_labels --slices "$(DATA)/stroke-slices/soop_axial_slices.npz" \
		--bundle runs/fourth-stage/bundle --out runs/more-strokes --first 780 --count 519
	$(NEXT) --synthetic-count 24 --preset fifth-reference-brain --start runs/fourth-stage --synthetic runs/strokes --synthetic runs/more-strokes \
		--out runs/fifth-stage --anatomy runs/anatomy-shipped $(SHIPPED)

# Numbers that no training draws.
runs/doubt-scans-600000: install
	$(BIN)/python -m training.synthesis.stream --label-maps "$(DATA)/label-maps" --out $@ --count 24 --first 600000

vendor-scores: install runs/doubt-scans-600000  ## score the shipped bundle by scanner, by members that never saw the patient; VERSION=x.y.z writes it into the card
	$(BIN)/python -m training.bundle.vendor_scores --data "toshiba=$(DATA)/flair-wmh" --data "philips=$(DATA)/flair-mslesseg" \
		--patients training/data/patients/ms3seg.csv --patients training/data/patients/mslesseg.csv --drawn runs/doubt-scans-600000 \
		--strokes "$(DATA)/stroke-slices/soop_axial_slices.npz" \
		$(if $(VERSION),--version $(VERSION))

# For a model that was pretrained on runs/scans: DRAWN_FIRST=600000, numbers that no training draws.
doubt: install  ## derive the shipped bundle's review limit and volume interval; VERSION=x.y.z writes them into it
	$(BIN)/python -m training.synthesis.stream --label-maps "$(DATA)/label-maps" --out runs/doubt-scans-$(or $(DRAWN_FIRST),0) \
		--count $(or $(DRAWN_SCANS),5) --first $(or $(DRAWN_FIRST),0)
	$(BIN)/python -m training.bundle.doubt --data "toshiba=$(DATA)/flair-wmh" --patients training/data/patients/ms3seg.csv \
		--data "philips=$(DATA)/flair-mslesseg" --patients training/data/patients/mslesseg.csv --unlabelled "$(DATA)/flair-unlabelled" \
		--drawn runs/doubt-scans-$(or $(DRAWN_FIRST),0) --most-drawn $(or $(DRAWN_SCANS),5) --cache runs/doubt --out docs/evidence/doubt.json $(if $(VERSION),--version $(VERSION))

reference-dsc: install  ## print the shipped bundle's leave-patients-out DSC
	$(BIN)/wmh-node evaluate $(CASES) --bundle shipped --unseen-members --out runs/reference-dsc

intensity-limits: install  ## derive beyond what intensities images are unlike the training's; VERSION=x.y.z writes it into the shipped bundle
	$(BIN)/python -m training.bundle.intensity_limits --data "$(DATA)/flair-wmh" $(if $(VERSION),--version $(VERSION))

interval-coverage: install  ## print how often the volume interval holds the manual volume, and what else could
	$(BIN)/python -m training.bundle.interval_coverage --data "$(DATA)/flair-wmh"

brain-masks: install  ## print how well the brain mask fits real scans
	$(BIN)/python tests/benchmarks/brain_masks.py "$(DATA)/flair-wmh"

agreement: install  ## measure how far two scans of an unchanged brain differ, and write the evidence
	$(BIN)/python tests/benchmarks/agreement.py "$(DATA)" --cache runs/agreement --out docs/evidence/agreement.json

plausibility: install  ## print what the plausibility rules catch, and how often they are wrong
	$(BIN)/python tests/benchmarks/plausibility.py "$(DATA)" --predictions runs/plausibility

clean:  ## remove what make, demo and viewer made
	rm -rf $(VENV) wmh-demo wmh-viewer build dist docs/_build *.egg-info

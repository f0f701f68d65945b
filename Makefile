# The few commands a user or a developer needs; CMake does the work. `make help` lists them.
BUILD := build/release
MODEL ?= assets/demo-model
PROMPT ?=
SEED ?= 0
THREADS ?= 0
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 20
BENCH ?=

# Threads of tests that run at the same time must not spin while they wait for each other.
CTEST := OMP_WAIT_POLICY=passive ctest --output-on-failure --no-tests=error -j $(JOBS)
CXX_FILES = $(shell find src apps include examples -name '*.h' -o -name '*.cc' -o -name '*.c' \
                   -o -name '*.cu')
FUZZERS = $(basename $(notdir $(shell find src -name '*_fuzz.cc')))
# A compiler cache where there is one.
export CMAKE_CXX_COMPILER_LAUNCHER ?= $(notdir $(shell command -v ccache))

.PHONY: help dependencies build demo test cuda install format check layers format-check tidy sanitize \
        fuzz bench clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dependencies:
	@tools/install_dependencies.sh

$(BUILD)/build.ninja: | dependencies
	cmake --preset release -DSPARSEVID_TESTS=OFF

build: dependencies $(BUILD)/build.ninja  ## the program, build/release/bin/sparsevid
	cmake --build $(BUILD) --target sparsevid_cli -j $(JOBS)

demo: build  ## one prompt, dense and sparse, and how they compare; PROMPT= SEED= THREADS= MODEL=
	@tools/demo.py --program $(BUILD)/bin/sparsevid --model '$(MODEL)' --output demo \
	  --prompt "$$PROMPT" --seed '$(SEED)' --threads '$(THREADS)'
export PROMPT

test:  ## build everything and run all tests
	@tools/install_dependencies.sh --test
	cmake --preset release -DSPARSEVID_TESTS=ON
	cmake --build $(BUILD) -j $(JOBS)
	$(CTEST) --test-dir $(BUILD)

cuda:  ## build everything for NVIDIA GPUs and run the tests; ARCHITECTURES=90a for others than here
	@tools/install_dependencies.sh --test
	cmake --preset cuda $(if $(ARCHITECTURES),-DSPARSEVID_CUDA_ARCHITECTURES='$(ARCHITECTURES)')
	cmake --build build/cuda -j $(JOBS)
	$(CTEST) --test-dir build/cuda -L gpu

install: build  ## program, library and headers into PREFIX (/usr/local)
	cmake --install $(BUILD) --prefix '$(PREFIX)'

bench: build  ## time ops and attention on this machine; BENCH=part of a name
	$(BUILD)/bin/sparsevid bench --filter '$(BENCH)'

format:  ## clang-format over all C++ files
	@clang-format -i $(CXX_FILES)

check: layers format-check tidy  ## layers, format and clang-tidy

layers:
	python3 tools/check_layers_test.py
	python3 tools/synthetic_checkpoint_test.py
	python3 tools/check_kernels_test.py
	python3 tools/sanitize_gpu_test.py
	python3 tools/check_layers.py

format-check:
	@clang-format --dry-run -Werror $(CXX_FILES)

tidy:
	@tools/install_dependencies.sh --dev
	cmake --preset tidy
	tools/tidy.py --build build/tidy --jobs $(JOBS)

sanitize:  ## all tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/install_dependencies.sh --dev
	cmake --preset sanitize
	cmake --build build/sanitize -j $(JOBS)
	LSAN_OPTIONS=suppressions=$(CURDIR)/tools/leaks.supp:print_suppressions=0 \
	  $(CTEST) --test-dir build/sanitize

fuzz:  ## every fuzzer for FUZZ_SECONDS (20)
	@tools/install_dependencies.sh --dev
	cmake --preset fuzz
	cmake --build build/fuzz --target $(FUZZERS) -j $(JOBS)
	tools/fuzz.sh build/fuzz $(FUZZ_SECONDS) $(FUZZERS)

clean:  ## remove build/ and demo/
	rm -rf build demo

# The front door. CMake does the work; `cmake -S . -B build && cmake --build build` is enough too.
#
#     make                    build the release in build/
#     make demo               train, evaluate and predict on a real data set
#     make test               unit tests (also under sanitizers), format, tool, install: minutes
#     make test-all           the long ones too: sweeps, fuzzing, cross compilation, path analysis
#     make lint               clang-format, clang-tidy, cppcheck, ruff
#     make format             let clang-format and ruff rewrite the sources
#     make bench              build and run the benchmark programs
#     make install PREFIX=... install header, libraries and tool (default /usr/local)
#     make clean              remove what was built
#
# Missing packages of the distribution are installed first, where root or sudo allows it.

PREFIX ?= /usr/local
WERROR ?= OFF
FUZZ_SECONDS ?= 60
SHELL := /bin/sh

# Ninja for new build folders; one that exists keeps its generator.
configure = $(if $(wildcard $(2)/CMakeCache.txt),,CMAKE_GENERATOR=Ninja) \
    cmake --preset $(1) -DRAMIFY_WERROR=$(WERROR) --log-level=NOTICE >/dev/null
ctest = ctest --output-on-failure -j 2
# The plug-in for several processes, where MPI is there to build it with.
mpi = -DRAMIFY_MPI=$$(command -v mpicc >/dev/null 2>&1 && echo ON || echo OFF)

.PHONY: build demo test test-all lint lint-deep format bench install cross fuzz clean

build:
	@tools/setup.sh build
	@$(call configure,release,build)
	@cmake --build build

demo: build
	@tools/demo.sh

# The sanitized unit tests come first: their report is the more telling one when both fail.
test:
	@tools/setup.sh test
	@$(call configure,sanitize,build-sanitize)
	@cmake --build build-sanitize
	@$(ctest) --test-dir build-sanitize -LE 'long|tool|accuracy|plain'
	@$(call configure,test,build) $(mpi)
	@cmake --build build
	@$(ctest) --test-dir build -LE long

test-all: cross fuzz lint-deep
	@tools/setup.sh test
	@$(call configure,sanitize,build-sanitize)
	@cmake --build build-sanitize
	@$(ctest) --test-dir build-sanitize
	@$(call configure,test,build) $(mpi)
	@cmake --build build
	@$(ctest) --test-dir build

lint:
	@tools/setup.sh lint
	@$(call configure,release,build)
	@tools/lint.sh

# With clang's analysis of paths, which takes minutes.
lint-deep:
	@tools/setup.sh lint
	@$(call configure,release,build)
	@tools/lint.sh --deep

format:
	@tools/setup.sh lint
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i
	@.venv/bin/ruff format -q .
	@.venv/bin/ruff check -q --fix .

bench:
	@tools/setup.sh bench
	@$(call configure,bench,build)
	@cmake --build build
	@for program in build/bench_*; do echo "$$program"; "$$program" || exit 1; done

install: build
	@cmake --install build --prefix "$(PREFIX)" >/dev/null
	@echo "Installed in $(PREFIX)"

# Objects only. The cross compiler does not look into the machine's own header folder, so those of
# jansson and zlib, which are the same for every processor, are put where it does.
cross:
	@tools/setup.sh cross
	@tools/cross.sh

fuzz:
	@tools/setup.sh fuzz
	@$(call configure,fuzz,build-fuzz)
	@cmake --build build-fuzz
	@tools/fuzz.sh $(FUZZ_SECONDS)

clean:
	rm -rf build build-sanitize build-fuzz build-aarch64

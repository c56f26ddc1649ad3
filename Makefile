# Two commands do everything on a fresh Debian 12 machine (as root or with sudo):
#   make serve   install what is missing, build, fetch the default models, serve them
#   make test    install what is missing, build, run every test
# Both are safe to repeat and quick the second time.

DATA_DIR ?= $(HOME)/.tessera
SERVE_ARGS ?=

.PHONY: serve test build models unit sanitizers fuzz integration benchmarks format clean

serve: build models
	build/release/src/app/tessera serve --data-dir "$(DATA_DIR)" $(SERVE_ARGS)

build:
	@scripts/install_packages.sh build
	@scripts/build.sh release tessera

models:
	@scripts/fetch_models.sh "$(DATA_DIR)/models"

test: unit sanitizers fuzz integration
	@echo "make test: everything passed"

unit:
	@scripts/install_packages.sh build test
	@scripts/build.sh release all
	ctest --test-dir build/release --output-on-failure --no-tests=error -j2

sanitizers:
	@scripts/install_packages.sh build test
	@scripts/run_sanitizers.sh

fuzz:
	@scripts/install_packages.sh build fuzz
	@scripts/run_fuzz.sh $(FUZZ_SECONDS)

integration: build
	@scripts/install_packages.sh test
	@scripts/fetch_models.sh build/models
	@scripts/run_integration.sh

benchmarks: build
	@echo "See benchmarks/README.md for what each program measures and how to run it."

format:
	git ls-files 'src/*.h' 'src/*.cpp' 'src/*.inl' 'tests/*.cpp' 'benchmarks/*.cpp' | xargs clang-format -i

clean:
	rm -rf build

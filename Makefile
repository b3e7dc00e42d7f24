# What a machine lacks (Postgres, Redis, libpq, a C compiler, Rust, Node) is installed by scripts/need: by the system's package
# manager, only what is missing, and without a word when nothing is.

need := scripts/need
drive := tests/sdk/node_modules/.package-lock.json

.PHONY: help dev test soak lint fuzz bench tables clean

help:
	@echo 'make dev     start everything on this machine: a private Postgres in .keyward/, a root key, the server (ARGS=…)'
	@echo 'make test    every test, starting what it needs'
	@echo 'make soak    the tests of exact numbers and of freshness under faults, for many rounds and in a release build (ROUNDS=20)'
	@echo 'make lint    formatting, clippy and documentation, warnings are errors'
	@echo 'make fuzz    two minutes of generated requests against a server of its own'
	@echo 'make bench   what a verification costs, next to a bare handler (ARGS=--help shows what can be chosen)'
	@echo 'make tables  write the tables of README.md and the code map of src/lib.rs anew'
	@echo 'make clean   remove what was built'

dev:
	@exec $(need) build postgres -- cargo run --locked -- dev $(ARGS)

test: $(drive)
	@$(need) build postgres redis node curl -- cargo test --locked --no-fail-fast

soak:
	@KEYWARD_TEST_ROUNDS=$(or $(ROUNDS),20) KEYWARD_TEST_OUTAGE_S=60 $(need) build postgres -- cargo test --locked --release --test api -- exact:: freshness::

# The official SDK, at the version that the lock file names.
$(drive): tests/sdk/package-lock.json tests/sdk/package.json
	@cd tests/sdk && ../../$(need) node -- npm ci --no-progress
	@touch $@

lint:
	@$(need) build lint -- cargo fmt --check
	@$(need) build lint -- cargo clippy --locked --all-targets -- -D warnings
	@RUSTDOCFLAGS=-Dwarnings $(need) build -- cargo doc --locked --no-deps --quiet

fuzz:
	@$(need) build postgres python -- scripts/fuzz

# Nobody else should be working on the machine meanwhile.
bench:
	@exec $(need) build postgres -- cargo bench --locked --bench http -- $(ARGS)

tables:
	@KEYWARD_TEST_UPDATE=1 $(need) build postgres -- cargo test --locked --quiet --test api -- readme::tables:: codemap::

clean:
	@$(need) build -- cargo clean
	@rm -rf tests/sdk/node_modules

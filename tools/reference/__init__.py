"""Reference dumps for sparsevid's tests; see tests/golden/README.md and ../dump_reference.py."""

"""Other servers with the same models: ``python -m bench.peers`` (``make bench-peers``).

Each is written as its documents recommend, with batches of up to 32 that wait 5 ms for company.
They run in an environment of their own, ``.venv-peers``.
"""

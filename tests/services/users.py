"""Who may call ``vault.py``, by token."""

TOKENS = {"alice": "alices.token-0c5b3a7e91d24f68", "bob": "bobs.token-d2f1a60b87c94e35"}

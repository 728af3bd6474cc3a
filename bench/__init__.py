"""Mothlight beside plain FastAPI and beside the limits: ``python -m bench``."""

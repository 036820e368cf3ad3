"""The pages behind the links that wandb prints: they read, live, and change nothing.

Each is a short HTML page from ``templates/`` whose script, in ``static/``, asks its address with ``/changes`` for the
data, and from then on for what changed since. Reading happens in threads, on connections of their own.
"""

"""The worker: one process that trains a sweep's runs, one after the other, as W&B's agent does.

It *is* W&B's agent, with three differences that cost nothing in semantics:

- it notices the end of a training at once instead of at its next poll;
- a bundled trainer runs in a warm child, forked for the run, instead of in a fresh interpreter that imports for
  seconds;
- it leaves when its sweep is over or has had nothing for it for a while, and on SIGTERM ends its training first.

A training that dies takes nothing with it but its own run. Where the worker itself is killed, a bundled training ends
with it, since it talks to the tracker through the worker's ``wandb-core``; a program of one's own has a ``wandb-core``
of its own, trains to its end and reports it.
"""

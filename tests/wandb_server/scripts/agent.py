"""W&B's agent, polling often instead of every 5 s: agent.py ENTITY/PROJECT/SWEEP [COUNT]."""

import sys

from wandb import wandb_agent

wandb_agent.Agent.POLL_INTERVAL = 0.2  # type: ignore[assignment]
entity, project, sweep = sys.argv[1].split("/")
count = int(sys.argv[2]) if len(sys.argv) > 2 else None
wandb_agent.run_agent(sweep, entity=entity, project=project, count=count)

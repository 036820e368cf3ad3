"""``python -P -m multistage.pipeline``: run a deployment's flow run, whatever lies in the folder that it was made from.

What ``python -m prefect.engine`` does, save that the flows are imported first, from where they are installed: Prefect
enters the deployment's folder and looks there before anywhere else, and a user's own ``multistage.py`` would be taken.
"""

import logging
import runpy

import multistage.pipeline.flows.multistage_sweep
import multistage.pipeline.flows.single_sweep  # noqa: F401
from multistage.pipeline.tasks.run_logs import is_news

if __name__ == "__main__":
    for name in ("prefect.flow_runs", "prefect.engine"):
        logging.getLogger(name).addFilter(is_news)
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)

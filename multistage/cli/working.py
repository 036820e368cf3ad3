"""The command that trains for a sweep which is driven elsewhere."""

import logging


def work(address: str, /, *, idle: float = 600.0, tunnel: str | None = None) -> int:
    """Train what a sweep hands out, on this machine, until that sweep is done: for any machine that reaches its server.

    The sweep's key is read from WANDB_API_KEY, or else from the standard input.

    Args:
        address: The sweep, as URL/NAME, or as ENTITY/PROJECT/NAME where it is W&B's.
        idle: Seconds without work after which to leave.
        tunnel: ssh:HOST, where the URL is one that only that host reaches, such as its own 127.0.0.1.
    """
    from multistage.worker.following import follow

    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    follow(address, idle, tunnel)
    return 0

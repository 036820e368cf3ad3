"""Workers on hosts that ssh reaches, and a way back by which they reach this machine's server."""

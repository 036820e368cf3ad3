"""Where workers run: on this machine, or elsewhere, behind one small Protocol."""

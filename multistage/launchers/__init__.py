"""Where workers run, and how they are started: a folder for each launcher, behind one small Protocol."""

#!/bin/sh
# A launcher of an author's own, in front of his script.
exec python "$(dirname "$0")/argparse_underscores.py" "$@"

"""``python -m multistage.options docs/options.md``: write the tables of the page anew."""

import sys
from pathlib import Path

from multistage.options.tables import write_tables

if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(write_tables(page.read_text(encoding="utf-8")), encoding="utf-8")

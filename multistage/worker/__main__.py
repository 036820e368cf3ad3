"""``python -m multistage.worker --sweep ENTITY/PROJECT/ID [--idle SECONDS]``."""

import gc

gc.disable()  # it would take a seventh of the time of these imports, and find nothing
from multistage.worker.program import main  # noqa: E402

gc.enable()

if __name__ == "__main__":
    main()

"""``python -m multistage.worker --sweep ENTITY/PROJECT/ID [--idle SECONDS]``."""

from multistage.worker.program import main

if __name__ == "__main__":
    main()

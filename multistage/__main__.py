"""``python -m multistage``: the command line, where its script is not on the path."""

from multistage.cli import main

if __name__ == "__main__":
    main()

"""``python -m mpt`` is the command ``mpt``."""

from mpt.cli.main import main

if __name__ == "__main__":
    main()

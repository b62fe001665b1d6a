"""`python -m pvbench`, as the command `pvbench`."""

from pvbench.cli import main

if __name__ == "__main__":
    main()

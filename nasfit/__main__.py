"""`python -m nasfit`, which is how `torchrun -m nasfit train` starts a process a GPU."""

from nasfit.cli import main

if __name__ == "__main__":
    main()

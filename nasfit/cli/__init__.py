"""The `nasfit` command."""

from nasfit.cli.app import main

__all__ = ["main"]

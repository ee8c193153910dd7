"""`python -m inalpha`."""

from inalpha.cli.main import main

main()

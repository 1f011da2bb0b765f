#!/usr/bin/env python
"""Runs Signalist's commands. A wrong environment ends here with one sentence on standard error and exit status 2."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

from signalist.environment import Misconfigured


def main() -> None:
    """Run the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signalist.settings")
    try:
        execute_from_command_line(sys.argv)
    except Misconfigured as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

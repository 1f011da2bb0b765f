"""What the house promises as a whole: imports, settings, logs, migrations."""

"""What deploy/package does, in parts: build, check, zip, run, list."""

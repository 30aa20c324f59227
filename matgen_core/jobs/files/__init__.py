"""Files: written whole or not at all, read within limits, temporary ones gone with their owner."""

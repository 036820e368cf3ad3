"""What a script's own run tells about it, and the sweep that is proposed by that."""

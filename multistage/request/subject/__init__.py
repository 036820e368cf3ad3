"""What a sweep trains, and what of it is searched: by flags, or by a W&B sweep file."""

"""The searchers that come with this project, one a file."""

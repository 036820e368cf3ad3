"""Workers that others start, wherever they like: `multistage-sweep work` on any machine that reaches the server."""

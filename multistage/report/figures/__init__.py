"""The report's figures: each a pure function from data to a plotly figure, or None where there is nothing to draw."""

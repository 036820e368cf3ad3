"""Who proposes the next configs: the grid, Sobol points, a Gaussian process, and the finalists' race."""

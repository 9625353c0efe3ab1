"""The mathematics of the experiments on Sections 1 to 3: each module measures one cell."""

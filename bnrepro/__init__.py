"""bnrepro: Ioffe & Szegedy (2015), Batch Normalization, as experiments anyone can run and check."""

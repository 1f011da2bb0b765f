"""A venue in another process on this machine, over HTTP: for benchmarks and tests. It trades play money by the paper venue's rules."""

//! Sweeps: the file, what is valid in it, its axes and its points.

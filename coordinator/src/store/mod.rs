//! Stores: what the coordinator has written down.

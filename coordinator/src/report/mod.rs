//! Reports: figures, tables and exports, each a pure function of aggregated curves.
pub mod log;

//! Reports: figures, tables and exports, each a pure function of aggregated curves.
#![allow(missing_docs, unused)]
pub mod log { pub fn lines(_: &crate::watch::Event) -> Vec<String> { vec!["{}".into()] } pub fn text(e: &crate::watch::Event) -> Option<String> { Some(format!("{e:?}").chars().take(100).collect()) } }
pub mod export {
    use tenfold_core::aggregate::GroupResult; use tenfold_types::*;
    pub fn csv(g: &[GroupResult]) -> String { format!("{g:?}") } pub fn jsonl(g: &[GroupResult]) -> String { format!("{g:?}") }
    pub struct TrialCurveRow { pub key: TrialKey, pub values: Vec<(Setting, Value)>, pub state: &'static str, pub curve: Curve, pub seconds: Vec<f32>, pub attempt: Option<tenfold_proto::v1::Attempt> }
    pub fn curves_csv(_: &[TrialCurveRow], _: bool) -> String { String::new() } pub fn curves_jsonl(_: &[TrialCurveRow], _: bool) -> String { String::new() }
}
pub mod table { pub fn final_table(g: &[tenfold_core::aggregate::GroupResult]) -> String { g.iter().map(|g| format!("{:?} {:?}\n", g.group.values, g.epochs.last().map(|e| e.iter().map(|s| (s.n, s.mean)).collect::<Vec<_>>()))).collect() } }
pub mod figure {
    use tenfold_core::aggregate::GroupResult;
    pub struct Options { pub title: String, pub metric: Option<tenfold_types::Metric> }
    #[derive(Debug, thiserror::Error)] #[error("figure")] pub struct FigureError;
    pub struct Figure; impl Figure { pub fn svg(&self) -> String { String::new() } }
    pub fn curves(_: &[GroupResult], _: &Options) -> Result<Figure, FigureError> { Ok(Figure) }
    pub fn png(_: &str) -> Result<Vec<u8>, FigureError> { Ok(vec![]) }
}

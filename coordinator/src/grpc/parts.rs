//! Long curves in parts, so that no message is long. The parts of one curve follow one another, and all but the last
//! say that there are more.

use tenfold_proto::v1;

/// Values and seconds in a part, of 4 bytes each.
const VALUES: usize = 128 << 10;

/// Divides a trial's curve, whose columns come a metric after the other.
pub(super) fn of_curve(whole: v1::TrialCurve) -> Vec<v1::TrialCurve> {
    let all = whole.epochs as usize;
    let metrics = whole.metrics.len();
    let epochs = (VALUES / (metrics + 1)).max(1);
    if all <= epochs || whole.columns.len() != metrics * all {
        return vec![whole];
    }
    let part = |first: usize| {
        let last = all.min(first + epochs);
        let columns = whole.columns.chunks(all);
        let seconds = whole.seconds.get(first..last);
        v1::TrialCurve {
            trial: whole.trial,
            point: whole.point.clone(),
            state: whole.state,
            metrics: whole.metrics.clone(),
            columns: columns.flat_map(|column| &column[first..last]).copied().collect(),
            epochs: (last - first) as u32,
            attempt: whole.attempt.clone(),
            seconds: seconds.unwrap_or_default().to_vec(),
            more: last < all,
        }
    };
    (0..all).step_by(epochs).map(part).collect()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::grpc::MAX_MESSAGE;

    #[test]
    fn a_long_curve_comes_in_parts_that_make_it_up() {
        let whole = v1::TrialCurve {
            metrics: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
            columns: (0..3 * 100_000).map(|value| value as f32).collect(),
            epochs: 100_000,
            seconds: (0..100_000).map(|epoch| epoch as f32).collect(),
            ..v1::TrialCurve::default()
        };
        let divided = of_curve(whole.clone());
        assert_eq!(divided.len(), 4);
        assert!(divided.iter().all(|part| part.encoded_len() <= MAX_MESSAGE));
        let mut columns = [const { Vec::new() }; 3];
        let mut seconds = Vec::new();
        for (number, part) in divided.into_iter().enumerate() {
            assert_eq!(part.more, number < 3);
            for (column, of_part) in columns.iter_mut().zip(part.columns.chunks(part.epochs as usize)) {
                column.extend_from_slice(of_part);
            }
            seconds.extend(part.seconds);
        }
        assert_eq!(columns.concat(), whole.columns);
        assert_eq!(seconds, whole.seconds);
    }
}

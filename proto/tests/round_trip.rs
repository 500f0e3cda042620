//! What goes over the wire comes back as it was, to the bit; what is no such thing is refused.

#![expect(clippy::unwrap_used, reason = "a test may")]

use proptest::prelude::*;
use prost::Message;
use tenfold_proto::{convert, v1};
use tenfold_types::network::{Architecture, Conv2d, Dropout, Layer, Linear, MaxPool2d, Relu};
use tenfold_types::{
    Block, Data, Head, Join, Loss, Optimizer, Outcome, Schedule, Target, TrialKey, TrialSpec, Value,
};

/// Over the wire and back, as bytes.
fn sent<M: Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        ".*".prop_map(Value::Text),
    ]
}

fn layer() -> impl Strategy<Value = Layer> {
    let number = (1..1000u32).prop_map(|n| n.try_into().unwrap());
    prop_oneof![
        number.clone().prop_map(|units| Linear { units }.into()),
        (number.clone(), number.clone(), number.clone(), any::<u8>()).prop_map(
            |(channels, kernel, stride, padding)| {
                Conv2d {
                    channels,
                    kernel,
                    stride,
                    padding: padding.into(),
                }
                .into()
            }
        ),
        (number.clone(), prop::option::of(number))
            .prop_map(|(kernel, stride)| MaxPool2d { kernel, stride }.into()),
        prop::option::of(0.0..1.0f64).prop_map(|rate| Dropout { rate }.into()),
        Just(Relu {}.into()),
    ]
}

prop_compose! {
    fn spec()(
        name in ".*",
        sub_networks in any::<u32>(),
        stacks in prop::collection::vec(prop::collection::vec(layer(), 0..6), 0..4),
        switches in any::<(bool, bool)>(),
        numbers in (0.0..1e300f64, 1e-300..1e300f64, 0.0..1.0f64, 0.0..1.0f64, 0.0..1e300f64, 0.0..1.0f64),
        counts in any::<(u32, u32, u32, u32, u32, u64)>(),
        join in prop::sample::select(Join::NAMES),
        target in prop::sample::select(Target::NAMES),
        choices in (
            prop::sample::select(Optimizer::NAMES),
            prop::sample::select(Loss::NAMES),
            prop::sample::select(Head::NAMES),
            prop::sample::select(Schedule::NAMES),
        ),
        more in any::<(bool, u32, u32)>(),
    ) -> TrialSpec {
        TrialSpec {
            architecture: Architecture { name, sub_networks, stacks },
            weight_sharing: switches.0,
            auxiliary_loss: switches.1,
            aux_weight: numbers.0,
            join: join.parse().unwrap(),
            learning_rate: numbers.1,
            batch_size: counts.0,
            optimizer: choices.0.parse().unwrap(),
            loss: choices.1.parse().unwrap(),
            dropout: numbers.2,
            head: choices.2.parse().unwrap(),
            momentum: numbers.3,
            nesterov: more.0,
            weight_decay: numbers.4,
            schedule: choices.3.parse().unwrap(),
            step_epochs: more.1,
            step_factor: numbers.5,
            warm_up: more.2,
            epochs: counts.1,
            data: Data { train: counts.2, test: counts.3, target: target.parse().unwrap() },
            seed: counts.5,
            repetition: counts.4,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_keep_their_kind(value in value()) {
        let back = Value::try_from(sent(&v1::Value::from(&value))).unwrap();
        // Equal in kind and to the bit: 1 is no 1.0, and neither is true.
        prop_assert_eq!(back, value);
    }

    #[test]
    fn specs_come_back(spec in spec()) {
        let back = TrialSpec::try_from(sent(&v1::TrialSpec::from(&spec))).unwrap();
        prop_assert_eq!(format!("{back:?}"), format!("{spec:?}"));
    }

    #[test]
    fn trials_of_a_lease_come_back(spec in spec(), attempt in any::<u32>(), continued in any::<bool>()) {
        let leased = sent(&convert::leased_trial(TrialKey::FIRST, attempt, &spec, continued));
        prop_assert_eq!((leased.trial, leased.attempt), (Some(TrialKey::FIRST.into()), attempt));
        let architecture = v1::Architecture::from(&spec.architecture);
        let back = convert::trial(leased, Some(&architecture)).unwrap();
        prop_assert_eq!(back.continued, continued);
        prop_assert_eq!(format!("{:?}", back.spec), format!("{spec:?}"));
    }

    #[test]
    fn blocks_come_back_to_the_bit(
        first in any::<u32>(),
        epochs in any::<u32>(),
        columns in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..20),
        seconds in prop::collection::vec(any::<f32>(), 0..20),
    ) {
        let block = Block { first, epochs, columns, seconds };
        let back = Block::try_from(sent(&v1::Block::from(&block))).unwrap();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!((back.first, back.epochs), (block.first, block.epochs));
        prop_assert_eq!(bits(&back.columns), bits(&block.columns));
        prop_assert_eq!(bits(&back.seconds), bits(&block.seconds));
    }

    #[test]
    fn bytes_that_are_no_numbers_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let whole = bytes.len() % 4 == 0;
        let block = v1::Block { first: 1, epochs: 1, columns: bytes, seconds: Vec::new() };
        prop_assert_eq!(Block::try_from(block).is_ok(), whole);
    }

    #[test]
    fn keys_come_back(stage in any::<u32>(), index in any::<u64>(), repetition in any::<u32>()) {
        let key = TrialKey { stage, repetition, index };
        prop_assert_eq!(convert::trial_key(Some(sent(&v1::TrialKey::from(key)))).unwrap(), key);
    }

    #[test]
    fn outcomes_come_back(error in ".*", stderr in ".*", epoch in any::<u32>()) {
        let lost = Outcome::Lost { error: error.clone(), together: epoch };
        let failed = Outcome::Failed { error };
        let others = [Outcome::Succeeded, Outcome::Diverged { epoch }, Outcome::Released];
        for outcome in others.into_iter().chain([failed.clone(), lost.clone()]) {
            let message = convert::end(epoch, outcome.clone(), stderr.clone());
            let kept = if outcome == failed || outcome == lost { stderr.clone() } else { String::new() };
            let back = sent(&message);
            prop_assert_eq!(back.epochs, epoch);
            prop_assert_eq!(convert::ended(back).unwrap(), (outcome, kept));
        }
    }
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let refused = |error: convert::ConvertError, word: &str| {
        assert!(error.to_string().contains(word), "{error}");
    };
    refused(convert::sweep_id(&[1; 15]).unwrap_err(), "15 bytes");
    refused(convert::fence(0).unwrap_err(), "fence");
    refused(convert::trial_key(None).unwrap_err(), "trial");
    refused(convert::ended(v1::End::default()).unwrap_err(), "outcome");
    refused(Value::try_from(v1::Value { kind: None }).unwrap_err(), "kind");
    refused(
        TrialSpec::try_from(v1::TrialSpec::default()).unwrap_err(),
        "architecture",
    );
    refused(
        convert::trial(v1::LeasedTrial::default(), None).unwrap_err(),
        "spec",
    );
    let odd = v1::Architecture {
        stacks: vec![v1::Stack {
            layers: vec![v1::Layer {
                name: "liner".to_owned(),
                settings: Vec::new(),
            }],
        }],
        ..v1::Architecture::default()
    };
    refused(Architecture::try_from(odd).unwrap_err(), "linear");
}

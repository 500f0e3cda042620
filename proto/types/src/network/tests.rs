//! Forms in which layers are written, and shapes of whole networks.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::Value;

#[derive(Debug, Deserialize)]
struct File {
    layers: Vec<Layer>,
}

fn layers(text: &str) -> Result<Vec<Layer>, String> {
    toml::from_str(&format!("layers = [{text}]"))
        .map(|file: File| file.layers)
        .map_err(|error| error.message().to_owned())
}

fn network(text: &str) -> Architecture {
    Architecture {
        name: "my-net".to_owned(),
        sub_networks: 2,
        stacks: vec![layers(text).unwrap()],
    }
}

fn complaint(architecture: &Architecture, auxiliary_loss: bool) -> String {
    architecture
        .outline(false, auxiliary_loss)
        .unwrap_err()
        .to_string()
}

fn any_layer() -> impl Strategy<Value = Layer> {
    use std::num::NonZeroU32;
    let count = || (1..=u32::MAX).prop_map(|n| NonZeroU32::new(n).unwrap());
    let real = || prop_oneof![Just(0.01), any::<f64>().prop_filter("a number", |x| !x.is_nan())];
    prop_oneof![
        count().prop_map(|units| Linear { units }.into()),
        (
            count(),
            count(),
            prop_oneof![Just(NonZeroU32::MIN), count()],
            any::<u32>()
        )
            .prop_map(|(channels, kernel, stride, padding)| {
                let layer = Conv2d {
                    channels,
                    kernel,
                    stride,
                    padding,
                };
                layer.into()
            }),
        (count(), proptest::option::of(count()))
            .prop_map(|(kernel, stride)| MaxPool2d { kernel, stride }.into()),
        Just(Flatten {}.into()),
        Just(Relu {}.into()),
        real().prop_map(|slope| LeakyRelu { slope }.into()),
        Just(Tanh {}.into()),
        Just(Sigmoid {}.into()),
        Just(Gelu {}.into()),
        proptest::option::of(real()).prop_map(|rate| Dropout { rate }.into()),
        (
            count(),
            count(),
            prop_oneof![Just(NonZeroU32::MIN), count()],
            any::<u32>()
        )
            .prop_map(|(channels, kernel, stride, padding)| {
                let layer = Conv1d {
                    channels,
                    kernel,
                    stride,
                    padding,
                };
                layer.into()
            }),
        (count(), proptest::option::of(count()), 0..3u8).prop_map(|(kernel, stride, kind)| match kind {
            0 => MaxPool1d { kernel, stride }.into(),
            1 => AvgPool1d { kernel, stride }.into(),
            _ => AvgPool2d { kernel, stride }.into(),
        }),
        (real(), real(), any::<bool>()).prop_map(|(momentum, epsilon, image)| match image {
            true => BatchNorm2d { momentum, epsilon }.into(),
            false => BatchNorm1d { momentum, epsilon }.into(),
        }),
        Just(Softmax {}.into()),
    ]
}

proptest! {
    #[test]
    fn a_layer_survives_the_wire_the_frame_and_the_file(layer in any_layer()) {
        let settings: Vec<(String, Value)> =
            layer.settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        prop_assert_eq!(Layer::from_settings(layer.name(), &settings).unwrap(), layer.clone());

        let bytes = postcard::to_stdvec(&layer).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Layer>(&bytes).unwrap(), layer.clone());

        let text = toml::Value::try_from(&layer).unwrap().to_string();
        prop_assert_eq!(layers(&text).unwrap(), vec![layer]);
    }
}

#[test]
fn layers_are_written_bare_or_with_settings() {
    assert_eq!(
        layers(r#""relu", "flatten", "dropout", { dropout = { rate = 0.2 } }, { relu = {} }, "leaky-relu""#)
            .unwrap(),
        [
            Relu {}.into(),
            Flatten {}.into(),
            Dropout { rate: None }.into(),
            Dropout { rate: Some(0.2) }.into(),
            Relu {}.into(),
            LeakyRelu { slope: 0.01 }.into(),
        ] as [Layer; 6]
    );
    let text = "{ linear = { units = 7 } }, { conv2d = { channels = 20, kernel = 3 } }, { max-pool2d = { kernel = 2 } }";
    let names: Vec<String> = layers(text).unwrap().iter().map(Layer::to_string).collect();
    assert_eq!(
        names,
        [
            "linear, units 7",
            "conv2d, channels 20, kernel 3",
            "max-pool2d, kernel 2"
        ]
    );
}

#[test]
fn a_layer_written_wrongly_is_refused_in_words() {
    let refused = |text: &str| layers(text).unwrap_err();
    assert_eq!(
        refused(r#""rellu""#),
        r#""rellu" is no layer; did you mean "relu"?"#
    );
    assert!(refused("{ transformer = {} }").contains("the layers are linear, conv2d"));
    assert!(refused(r#""linear""#).contains("missing field `units`"));
    assert!(refused("{ linear = { units = 0 } }").contains("nonzero"));
    assert!(refused("{ linear = { units = 5000000000 } }").contains("5000000000"));
    assert!(refused("{ linear = { unit = 5 } }").contains("unknown field `unit`"));
    assert!(refused("{ relu = { slope = 0.1 } }").contains("unknown field `slope`"));
    assert!(refused(r#"{ linear = { units = 5 }, units = 5 }"#).contains("has one name"));
    assert!(refused("{}").contains("a layer, such as"));
    assert!(refused("5").contains("a layer, such as"));
    let text = Value::Text("5".to_owned());
    let error = Layer::from_settings("linear", &[("units".to_owned(), text)]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("layer \"linear\": invalid type: string \"5\"")
    );
}

#[test]
fn named_networks_are_as_the_design_has_them() {
    let outline = |name: &str, sharing| Architecture::named(name).unwrap().outline(sharing, true).unwrap();
    let perceptron = outline("perceptron-600", false);
    assert_eq!(
        perceptron.parameters,
        2 * (196 * 600 + 600 + 600 * 10 + 10) + 20 * 2 + 2
    );
    assert_eq!(perceptron.operations, 2 * (2 * (196 * 600 + 600 * 10) + 20 * 2));
    assert_eq!(
        outline("perceptron-600", true).parameters,
        196 * 600 + 600 + 600 * 10 + 10 + 42
    );
    assert_eq!(outline("perceptron-600", true).operations, perceptron.operations);

    let shapes: Vec<String> = outline("conv-20", false)
        .layers(0)
        .iter()
        .map(|layer| format!("{} {}", layer.name, layer.output))
        .collect();
    assert_eq!(
        shapes,
        [
            "conv2d 20 × 12 × 12",
            "relu 20 × 12 × 12",
            "conv2d 20 × 10 × 10",
            "relu 20 × 10 × 10",
            "max-pool2d 20 × 5 × 5",
            "linear 20",
            "relu 20",
            "linear 20",
            "relu 20",
            "linear 10"
        ]
    );
    let conv = outline("conv-20", true);
    assert_eq!(conv.layers(0)[2].parameters, 20 * 20 * 9 + 20);
    assert_eq!(conv.layers(0)[2].operations, 2 * 20 * 20 * 9 * 100);
    assert_eq!((conv.join_width, conv.head.parameters), (20, 42));
    assert_eq!(
        outline("conv1-8", true).layers(0)[2].output.to_string(),
        "8 × 6 × 6"
    );
}

#[test]
fn other_names_are_no_networks() {
    for name in [
        "perceptron",
        "perceptron-",
        "perceptron-0",
        "perceptron-07",
        "perceptron--5",
        "perceptron-+5",
        "perceptron-99999999999999999999",
        "conv3-5",
        "-5",
        "",
    ] {
        assert_eq!(Architecture::named(name), None, "{name:?}");
    }
    assert!(Architecture::named("perceptron-1000000").is_some());
}

#[test]
fn a_single_sub_network_sees_both_images() {
    let single = Architecture::named_with("conv-20", 1).unwrap();
    let outline = single.outline(false, false).unwrap();
    assert_eq!(outline.layers(0)[0].parameters, 2 * 20 * 9 + 20);
    assert_eq!(outline.join_width, 10);
    assert!(complaint(&single, true).contains("auxiliary loss with a single sub-network"));
}

#[test]
fn a_layer_that_does_not_fit_is_named_with_what_it_got_and_needs() {
    let small =
        network("{ max-pool2d = { kernel = 3 } }, \"relu\", { conv2d = { channels = 20, kernel = 5 } }");
    assert_eq!(
        complaint(&small, false),
        "architecture \"my-net\": layer 3 (conv2d, channels 20, kernel 5) got an image of 1 × 4 × 4 \
         (channels × rows × columns), needs at least 5 × 5"
    );
    let flat = network("\"flatten\", { max-pool2d = { kernel = 2 } }");
    assert_eq!(
        complaint(&flat, false),
        "architecture \"my-net\": layer 2 (max-pool2d, kernel 2) got 196 values, needs an image of at least 2 × 2"
    );
    let wide = network("{ linear = { units = 12 } }");
    assert!(wide.outline(true, false).is_ok());
    assert_eq!(
        complaint(&wide, true),
        "architecture \"my-net\": the last layer, 1 (linear, units 12), gives 12 values, needs to give 10 values, \
         since auxiliary loss has it name a digit"
    );
    let image = network("{ conv2d = { channels = 1, kernel = 3, padding = 1 } }");
    assert!(complaint(&image, false).contains("gives an image of 1 × 14 × 14"));
    assert!(
        complaint(
            &network("{ dropout = { rate = 1.0 } }, { linear = { units = 10 } }"),
            true
        )
        .contains("rate is 1")
    );
    assert!(complaint(&network("{ leaky-relu = { slope = nan } }"), false).contains("slope is NaN"));
}

#[test]
fn absurd_sizes_are_refused_before_anything_is_allocated() {
    for text in [
        "{ linear = { units = 4294967295 } }",
        "{ linear = { units = 40000 } }, { linear = { units = 40000 } }",
        "{ conv2d = { channels = 4294967295, kernel = 4294967295, padding = 4294967295 } }",
        "{ conv2d = { channels = 1, kernel = 1, padding = 4294967295 } }",
    ] {
        assert!(complaint(&network(text), false).contains("too large"), "{text}");
    }
    let mut many = Architecture::named("perceptron-100000").unwrap();
    many.sub_networks = 1000;
    assert!(complaint(&many, true).contains("too large"));
    for sub_networks in [0, u32::MAX] {
        many.sub_networks = sub_networks;
        assert!(complaint(&many, true).contains("sub-networks, needs 1 to 1000"));
    }
    many.stacks[0].clear();
    many.sub_networks = 2;
    assert!(complaint(&many, false).contains("0 layers"));
}

#[test]
fn a_signal_is_an_image_read_row_by_row() {
    let outline = network(
        "{ conv1d = { channels = 4, kernel = 3 } }, { max-pool1d = { kernel = 2 } }, \"batch-norm1d\", \"softmax\", \
         { avg-pool1d = { kernel = 3, stride = 2 } }, { linear = { units = 10 } }",
    )
    .outline(true, true)
    .unwrap();
    let shapes: Vec<String> = outline
        .layers(0)
        .iter()
        .map(|layer| layer.output.to_string())
        .collect();
    assert_eq!(shapes, ["4 × 194", "4 × 97", "4 × 97", "4 × 97", "4 × 48", "10"]);
    assert_eq!(outline.layers(0)[0].parameters, 4 * 3 + 4);
    assert_eq!(outline.layers(0)[0].operations, 2 * 4 * 3 * 194);
    assert_eq!(outline.layers(0)[2].parameters, 8);
    assert_eq!(outline.layers(0)[5].parameters, 4 * 48 * 10 + 10);

    let long = network("{ conv1d = { channels = 1, kernel = 197 } }, { linear = { units = 10 } }");
    assert!(complaint(&long, false).contains("needs at least 197 values in each channel"));
    let flat = network("\"flatten\", { conv1d = { channels = 1, kernel = 3 } }");
    assert!(complaint(&flat, false).contains("needs a signal of at least 3 values"));
    assert!(complaint(&network("\"batch-norm1d\""), false).contains("needs a vector or a signal"));
    assert!(complaint(&network("\"flatten\", \"batch-norm2d\""), false).contains("needs an image"));
    let momentum = network("{ batch-norm2d = { momentum = 0.0 } }, { linear = { units = 10 } }");
    assert!(complaint(&momentum, false).contains("momentum is 0, needs to be above 0 and at most 1"));
    let open = network("{ conv1d = { channels = 1, kernel = 3 } }");
    assert!(complaint(&open, false).contains("gives a signal of 1 × 194"));
}

#[test]
fn sub_networks_may_differ_and_then_share_nothing() {
    let each = |texts: [&str; 2]| Architecture {
        name: "two".to_owned(),
        sub_networks: 2,
        stacks: texts.map(|text| layers(text).unwrap()).to_vec(),
    };
    let two = each([
        "{ linear = { units = 10 } }",
        "{ linear = { units = 20 } }, { linear = { units = 7 } }",
    ]);
    let outline = two.outline(false, false).unwrap();
    assert_eq!(outline.widths, [10, 7]);
    assert_eq!(outline.layers(1)[1].output, Shape::Flat(7));
    assert_eq!(outline.parameters, 1970 + (197 * 20 + 21 * 7) + 2 * 18);
    assert_eq!(outline.operations, 2 * (1960 + 196 * 20 + 140 + 34));
    assert!(complaint(&two, true).contains("the last layer, 2 (linear, units 7), gives 7 values"));
    let sharing = two.outline(true, false).unwrap_err().to_string();
    assert!(
        sharing.contains("weight sharing between sub-networks that differ"),
        "{sharing}"
    );
    let same = each(["{ linear = { units = 10 } }", "{ linear = { units = 10 } }"]);
    assert_eq!(same.outline(true, false).unwrap().parameters, 1970 + 42);
    let mut three = two;
    three.sub_networks = 3;
    assert!(complaint(&three, false).contains("2 lists of layers for 3 sub-networks"));
}

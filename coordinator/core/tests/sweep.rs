//! What a sweep is: its identity, its overrides, its bounds.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write;

use tenfold_core::sweep::{MAX_TEXT, Sweep};
use tenfold_types::{Head, Join, Loss, Optimizer, Schedule, Setting, Target, Value, printable};

fn parse(text: &str) -> Sweep {
    set(text, &[])
}

fn set(text: &str, overrides: &[&str]) -> Sweep {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Sweep::parse(text, "some/file.toml", &overrides, None).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str, overrides: &[&str]) -> String {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Sweep::parse(text, "f.toml", &overrides, None)
        .unwrap_err()
        .to_string()
}

const WHOLE: &str = r#"
name = "whole"
description = "with everything"
seed = 7
repetitions = 3
epochs = 20
device = "cpu"
zip = [["batch_size", "learning_rate"]]

[data]
train = 500
test = 200
target = "less-or-equal"

[settings]
join = "relu"
auxiliary_loss = true

[axes]
learning_rate = { log = [1e-4, 1e-2], points = 3 }
batch_size = [10, 20, 50]
architecture = ["perceptron-100", "mine"]
aux_weight = { linear = [0.5, 1.0], points = 2 }

[[include]]
learning_rate = 0.5
batch_size = [10, 1000]
architecture = "mine"

[[exclude]]
architecture = "mine"
aux_weight = [1.0, 0.5]
batch_size = 20

[[architecture]]
name = "mine"
layers = [{ conv2d = { channels = 4, kernel = 3, padding = 1 } }, "leaky-relu", "dropout", { linear = { units = 10 } }]
"#;

/// The id is in every store, and in what people wrote down. When this fails, the normalised text has changed its form.
#[test]
fn an_id_never_changes() {
    let sweep = parse(WHOLE);
    assert_eq!(
        sweep.normalised(),
        concat!(
            r#"{"tenfold":1,"seed":7,"repetitions":3,"epochs":20,"device":"cpu","#,
            r#""data":{"train":500,"test":200,"target":"less-or-equal"},"#,
            r#""settings":{"auxiliary_loss":true,"join":"relu"},"#,
            r#""axes":[{"setting":"learning_rate","values":[0.0001,0.001,0.01]},{"setting":"batch_size","values":[10,20,50]},"#,
            r#"{"setting":"architecture","values":["perceptron-100","mine"]},{"setting":"aux_weight","values":[0.5,1.0]}],"#,
            r#""zip":[["learning_rate","batch_size"]],"#,
            r#""include":[{"architecture":["mine"],"batch_size":[10,1000],"learning_rate":[0.5]}],"#,
            r#""exclude":[{"architecture":["mine"],"aux_weight":[0.5,1.0],"batch_size":[20]}],"#,
            r#""architectures":[{"name":"mine","sub_networks":2,"layers":[{"conv2d":{"channels":4,"kernel":3,"padding":1}},"#,
            r#""leaky-relu","dropout",{"linear":{"units":10}}]},"#,
            r#"{"name":"perceptron-100","sub_networks":2,"layers":[{"linear":{"units":100}},"relu",{"linear":{"units":10}}]}]}"#,
        )
    );
    assert_eq!(sweep.id().to_string(), "e8269e6b05914eecad5307cbc519bcd6");
}

#[test]
fn spelling_is_no_part_of_the_id() {
    let plain =
        parse("[settings]\narchitecture = \"perceptron-100\"\n[axes]\nlearning_rate = [0.001, 0.01]\n");
    let spelt = parse(
        r#"# the same
name = "another"
description = "and described"
seed = 0
repetitions = 0xA
epochs = 1_00
device = "any"
settings = { dropout = 0.5, batch_size = 100, join = 'softmax', architecture = """perceptron-100""" }
axes.learning_rate = { log = [1e-3, 0.01], points = 2 }
data.train = 1000

[[architecture]]
name = "unused"
layers = [{ linear = { units = 5 } }]
"#,
    );
    assert_eq!(plain.normalised(), spelt.normalised());
    assert_eq!(plain.id(), spelt.id());
    assert_eq!((plain.name(), spelt.name()), ("file", "another"));
    let changed = [
        "seed=1",
        "repetitions=9",
        "epochs=99",
        "device=cpu",
        "data.train=999",
        "data.target=less-or-equal",
        "join=relu",
        "learning_rate=0.01,0.001",
        "learning_rate=0.001",
        "architecture=perceptron-101",
        "weight_sharing=false,true",
    ];
    let base = "[settings]\narchitecture = \"perceptron-100\"\n[axes]\nlearning_rate = [0.001, 0.01]\n";
    let mut ids: Vec<_> = changed.iter().map(|change| set(base, &[change]).id()).collect();
    ids.push(plain.id());
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), changed.len() + 1);
}

#[test]
fn the_layers_of_an_architecture_are_part_of_the_id() {
    let with = |layers: &str| {
        parse(&format!(
            "settings.architecture = \"mine\"\n[[architecture]]\nname = \"mine\"\nlayers = {layers}\n"
        ))
    };
    let ten = with("[{ linear = { units = 10 } }]");
    assert_eq!(ten.id(), with("[ { linear.units = 10 }, ]").id());
    assert_ne!(ten.id(), with("[{ linear = { units = 11 } }]").id());
}

#[test]
fn sub_networks_may_each_have_layers_of_their_own() {
    let with = |layers: &str| {
        parse(&format!(
            "settings.architecture = \"mine\"\n[[architecture]]\nname = \"mine\"\nlayers = {layers}\n"
        ))
    };
    let two = with("[[{ linear = { units = 10 } }], [\"flatten\", { linear = { units = 7 } }]]");
    let spec = two.stages()[0].spec(0, 0).unwrap();
    assert_eq!(spec.architecture.sub_networks, 2);
    assert_eq!(
        (
            spec.architecture.layers(0).len(),
            spec.architecture.layers(1).len()
        ),
        (1, 2)
    );
    assert_eq!(
        Sweep::from_normalised("file", two.normalised()).unwrap(),
        two.clone()
    );
    assert!(
        two.describe()
            .contains("1 × [1 × 14 × 14 → flatten → 196, linear → 7]"),
        "{}",
        two.describe()
    );
    // Lists that are the same are one.
    let same = with("[[{ linear = { units = 10 } }], [{ linear = { units = 10 } }]]");
    assert_eq!(same.id(), with("[{ linear = { units = 10 } }]").id());
}

#[test]
fn how_a_trial_is_trained_arrives_in_it() {
    let sweep = parse(
        "epochs = 40\n[settings]\narchitecture = \"perceptron-5\"\noptimizer = \"sgd\"\nnesterov = true\n\
         loss = \"smooth-l1\"\nhead = \"sigmoid\"\nweight_decay = 1e-4\nschedule = \"step\"\nstep_epochs = 7\n\
         step_factor = 0.5\n[axes]\nmomentum = [0.5, 0.9]\nwarm_up = { linear = [0, 10], points = 3 }\n",
    );
    let spec = sweep.stages()[0].spec(5, 0).unwrap();
    assert_eq!(
        (spec.optimizer, spec.nesterov, spec.momentum),
        (Optimizer::Sgd, true, 0.9)
    );
    assert_eq!((spec.loss, spec.head), (Loss::SmoothL1, Head::Sigmoid));
    assert_eq!((spec.weight_decay, spec.warm_up), (1e-4, 10));
    assert_eq!(
        (spec.schedule, spec.step_epochs, spec.step_factor),
        (Schedule::Step, 7, 0.5)
    );
    assert_eq!(
        Sweep::from_normalised("how", sweep.normalised())
            .unwrap()
            .stages()[0]
            .spec(5, 0),
        Some(spec)
    );
}

#[test]
fn defaults_are_those_of_a_trial() {
    let sweep = parse("settings.architecture = \"perceptron-5\"\n");
    let spec = sweep.stages()[0].spec(0, 0).unwrap();
    assert_eq!(
        spec,
        tenfold_types::TrialSpec::with_defaults(spec.architecture.clone())
    );
    // What a version before the newer settings made of this text.
    assert_eq!(sweep.normalised(), BEFORE);
}

const BEFORE: &str = concat!(
    r#"{"tenfold":1,"seed":0,"repetitions":10,"epochs":100,"device":null,"#,
    r#""data":{"train":1000,"test":1000,"target":"less"},"settings":{"architecture":"perceptron-5"},"#,
    r#""axes":[],"zip":[],"include":[],"exclude":[],"architectures":[{"name":"perceptron-5","sub_networks":2,"#,
    r#""layers":[{"linear":{"units":5}},"relu",{"linear":{"units":10}}]}]}"#,
);

#[test]
fn every_key_arrives_in_the_trial() {
    let sweep = parse(WHOLE);
    // 3 zipped pairs × 2 × 2, and 2 × 1 × 2 included; excluded are mine at batch size 20.
    assert_eq!(
        (sweep.stages()[0].raw_points(), sweep.points(), sweep.trials()),
        (16, 14, 42)
    );
    assert_eq!(sweep.stages()[0].point(6), None);
    let spec = sweep.stages()[0].spec(14, 2).unwrap();
    assert_eq!(spec.architecture.name, "mine");
    assert_eq!(spec.architecture.layers(0).len(), 4);
    assert_eq!(
        (spec.learning_rate, spec.batch_size, spec.aux_weight),
        (0.5, 1000, 0.5)
    );
    assert_eq!(
        (spec.join, spec.auxiliary_loss, spec.weight_sharing),
        (Join::Relu, true, false)
    );
    assert_eq!((spec.seed, spec.repetition, spec.epochs), (7, 2, 20));
    assert_eq!(
        (spec.data.train, spec.data.test, spec.data.target),
        (500, 200, Target::LessOrEqual)
    );
    assert_eq!(sweep.stages()[0].metrics(14).len(), 6);
    assert_eq!(sweep.stages()[0].spec(16, 0), None);
    let text = sweep.describe();
    for part in [
        "whole",
        "with everything",
        &sweep.id().short(),
        "14 points",
        "2 of 16",
        "42",
        "cpu",
        "mine",
        "perceptron-100",
        "conv2d",
        "learning_rate with batch_size",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn overrides_fix_vary_and_replace() {
    let text = "name = \"n\"\n[settings]\narchitecture = \"perceptron-100\"\n[axes]\nlearning_rate = [0.1, 0.2]\n\
                weight_sharing = [false, true]\n";
    let axes = |sweep: &Sweep| -> Vec<(Setting, usize)> {
        sweep.stages()[0]
            .axes()
            .iter()
            .map(|axis| (axis.setting, axis.values.len()))
            .collect()
    };
    let sweep = set(
        text,
        &[
            "learning_rate=log(1e-5, 1e-2, 4)",
            "architecture = perceptron-5,conv-3",
        ],
    );
    let expected = [
        (Setting::LearningRate, 4),
        (Setting::WeightSharing, 2),
        (Setting::Architecture, 2),
    ];
    assert_eq!(
        axes(&sweep),
        expected,
        "an axis keeps its place, a new one is the last"
    );
    let rates = [1e-5, 1e-4, 1e-3, 1e-2].map(Value::Float);
    assert_eq!(sweep.stages()[0].axes()[0].values, rates);

    let sweep = set(
        text,
        &[
            "settings.learning_rate=3",
            "epochs=20",
            "seed=1",
            "data.train=500",
            "test=50",
        ],
    );
    assert_eq!(axes(&sweep), [(Setting::WeightSharing, 2)]);
    let spec = sweep.stages()[0].spec(0, 0).unwrap();
    assert_eq!((spec.learning_rate, spec.epochs, spec.seed), (3.0, 20, 1));
    assert_eq!((spec.data.train, spec.data.test), (500, 50));

    let sweep = set(
        text,
        &[
            "batch_size=linear(10,30,3)",
            "weight_sharing=[true]",
            "name=2019, again",
        ],
    );
    assert_eq!(sweep.name(), "2019, again");
    assert_eq!(sweep.stages()[0].axes()[2].values, [10, 20, 30].map(Value::Int));
    assert_eq!(axes(&sweep)[1], (Setting::WeightSharing, 1));

    let twice = set(text, &["learning_rate=1", "learning_rate=1,2"]);
    assert_eq!(twice.stages()[0].axes().len(), 2, "the last override counts");
    let sweep = Sweep::parse(text, "f", &["repetitions=4".to_owned()], Some(5)).unwrap();
    assert_eq!(sweep.stages()[0].repetitions(), 5);
    let edited = text.replace("[0.1, 0.2]", "[0.3, 0.4]");
    assert_eq!(set(text, &["learning_rate=0.3,0.4"]).id(), parse(&edited).id());
}

#[test]
fn overrides_of_any_text_harm_nothing() {
    let text = "[settings]\narchitecture = \"perceptron-100\"\n";
    for value in [
        "1\nseed = 3",
        "1 # comment",
        "{a=1}",
        "[[1]]",
        "\"\"\"",
        "log(",
        "log)",
        "((",
        ",",
        "[",
        "]",
        "[]",
        "[,]",
        "\u{1b}[31m",
        "=",
        "nan",
        "log(nan,1,3)",
        "log(1,2,99999999999999999999)",
        "linear(-1,1,3)",
        "'",
        "\\",
    ] {
        let said = refused(text, &[&format!("aux_weight={value}"), "nonsense=1"]);
        assert!(!said.contains('\u{1b}'), "{said:?}");
        assert!(said.len() < 2_000, "{said}");
    }
}

#[test]
fn a_file_is_bounded() {
    let text = "[settings]\narchitecture = \"perceptron-100\"\n";
    let fits = format!("{text}{}", "#".repeat(MAX_TEXT - text.len()));
    assert_eq!(parse(&fits).points(), 1);
    let said = refused(&format!("{fits}#"), &[]);
    assert!(said.contains("262145 bytes"), "{said}");
    let ten_million = "repetitions = 100\nsettings.architecture = \"perceptron-1\"\n[axes]\n\
                       learning_rate = { log = [1e-6, 1e-1], points = 100000 }\n";
    assert_eq!(parse(ten_million).trials(), 10_000_000);
    assert!(refused(ten_million, &["repetitions=101"]).contains("10100000 trials"));
}

/// Files made to be slow: each took minutes or hours when something in reading them was quadratic. No time is asserted;
/// a test run that does not end is failure enough.
#[test]
fn nothing_takes_for_ever() {
    let head = "repetitions = 1\nsettings.architecture = \"perceptron-5\"\n[axes]\n";
    let list: Vec<String> = (1..40_000).map(|i| i.to_string()).collect();
    assert_eq!(
        parse(&format!("{head}batch_size = [{}]", list.join(","))).points(),
        39_999
    );

    let long = format!(
        "{head}learning_rate = {{ log = [1e-6, 1e-1], points = 100000 }}\nweight_sharing = [false]\n"
    );
    let wide = parse(&format!("{long}[[include]]\nweight_sharing = true\n"));
    assert_eq!(wide.points(), 200_000);

    // Zipped axes are far fewer points than their values could be combined to.
    let zipped = |axis: &str, value: &dyn Fn(u32) -> String| {
        let values: Vec<String> = (1..8_000).map(value).collect();
        let widths: Vec<String> = (1..8_000)
            .map(|width| format!("\"perceptron-{width}\""))
            .collect();
        parse(&format!(
            "repetitions = 1\nepochs = 10000\nzip = [[\"{axis}\", \"architecture\"]]\nsettings.optimizer = \"sgd\"\n\
             [axes]\n{axis} = [{}]\narchitecture = [{}]\n",
            values.join(","),
            widths.join(",")
        ))
    };
    assert_eq!(zipped("batch_size", &|number| number.to_string()).points(), 7_999);
    assert_eq!(
        zipped("momentum", &|number| format!("0.{number:05}")).points(),
        7_999
    );
    assert_eq!(zipped("warm_up", &|number| number.to_string()).points(), 7_999);

    let mut text = "repetitions = 1\naxes.weight_sharing = [false, true]\naxes.architecture = [".to_owned();
    (900_001..910_000).for_each(|width| write!(text, "\"conv-{width}\",").unwrap());
    assert!(refused(&format!("{text}]"), &[]).contains("… and 99"));

    let mut text = "[axes]\narchitecture = [\"perceptron-5\"]\n".to_owned();
    for number in 0..500 {
        write!(text, "[[include]]\narchitecture = \"bacdefghi{number:05}\"\n").unwrap();
        write!(
            text,
            "[[architecture]]\nname = \"abcdefghij{number:05}\"\nlayers = [\"flatten\"]\n"
        )
        .unwrap();
    }
    assert!(refused(&text, &[]).contains("did you mean"));
    let key = "k".repeat(200_000);
    assert!(refused(&format!("{key} = 1"), &[]).len() < 2_000);
}

#[test]
fn messages_leave_a_terminal_alone() {
    for text in [
        "x = \"\u{7f}\"",
        "\u{1b}[2J = 1",
        "\"\\u001b\" = 1",
        "settings.architecture = \"\\u001b[2J\"",
        "\u{202e}x\u{2066} = \"\u{200f}\u{feff}\"",
    ] {
        let said = refused(text, &[]);
        let acts = |c: char| !printable::is_printable(c) && c != '\n';
        assert!(!said.contains(acts), "{said:?}");
    }
}

#[test]
fn a_name_comes_from_the_file_when_the_text_has_none() {
    let text = "settings.architecture = \"perceptron-5\"";
    for (file, name) in [
        ("configs/figure1.toml", "figure1"),
        ("C:\\sweeps\\a b.toml", "a b"),
        ("/dev/stdin", "stdin"),
        ("last.toml", "sweep"),
        ("", "sweep"),
        (".toml", "sweep"),
        (" .toml", "sweep"),
    ] {
        assert_eq!(
            Sweep::parse(text, file, &[], None).unwrap().name(),
            name,
            "{file}"
        );
    }
}

#[test]
fn a_normalised_text_that_was_tampered_with_is_refused() {
    let sweep = parse(WHOLE);
    let text = sweep.normalised();
    for (from, to) in [
        ("\"tenfold\":1", "\"tenfold\":2"),
        ("\"seed\":7", "\"seed\":7.0"),
        ("\"seed\":7", "\"sed\":7"),
        ("0.0001", "0.00010"),
        ("0.0001", "-0.0001"),
        ("\"repetitions\":3", "\"repetitions\":4000000000"),
        ("mine", "other"),
        ("{", " {"),
    ] {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1);
        assert!(Sweep::from_normalised("x", &changed).is_err(), "{from} → {to}");
    }
    assert!(Sweep::from_normalised("x", "").is_err());
}

//! What a person sees first: each wrong document with the words that it gets.

use std::collections::BTreeMap;

use serde::Deserialize;
use shakedown_conf::{Bytes, ConfError, Document, Secret, Span, load};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its form counts")]
struct Rig {
    rig: String,
    slots: BTreeMap<String, Slot>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its form counts")]
struct Slot {
    board: String,
    #[serde(default, with = "serde_yaml::with::singleton_map")]
    power: Option<Power>,
    #[serde(default, with = "serde_yaml::with::singleton_map_recursive")]
    outputs: BTreeMap<String, Power>,
    #[serde(default)]
    min_off: Option<Span>,
    #[serde(default)]
    memory: Option<Bytes>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    password: Option<Secret>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its form counts")]
enum Power {
    Gpio(Gpio),
    Manual(Manual),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its form counts")]
struct Gpio {
    chip: String,
    line: u16,
    #[serde(default)]
    active_low: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manual {}

fn error(text: &str) -> ConfError {
    load::<Rig>(&Document::new("desk.yaml", text)).map(|loaded| panic!("{:?}", loaded.value)).unwrap_err()
}

#[test]
fn what_stands_where_a_secret_should_is_not_shown() {
    for text in ["    password: hunter2\n", "    password: { hunter2: x }\n", "    password: [hunter2]\n"] {
        let error = error(&format!("{HEAD}{text}"));
        let shown = format!("{error} {error:#} {error:?}");
        assert!(!shown.contains("hunter2") && shown.contains("{ env: NAME }"), "{shown}");
    }
}

const HEAD: &str = "rig: desk\nslots:\n  pi4:\n    board: raspberrypi4-64\n";

#[test]
fn each_slip_is_named_with_its_place() {
    for (text, want) in [
        (
            "    power: { gpio: { chip: gpiochip0, lnie: 17 } }\n",
            "5:39: slots.pi4.power.gpio.lnie: unknown field `lnie`; did you mean `line`?",
        ),
        ("    power: { gpoi: {} }\n", "5:14: slots.pi4.power: unknown choice `gpoi`; did you mean `gpio`?"),
        ("    power: { gpio: { chip: gpiochip0 } }\n", "5:14: slots.pi4.power.gpio: `line` is missing"),
        (
            "    power: { gpio: { chip: a, line: many } }\n",
            "5:37: slots.pi4.power.gpio.line: expected a whole number from 0 to 65535, got the text \"many\"",
        ),
        (
            "    power: { gpio: { chip: a, line: 70000 } }\n",
            "5:37: slots.pi4.power.gpio.line: expected a whole number from 0 to 65535, got the number `70000`",
        ),
        (
            "    power: { gpio: { chip: a, line: 1, active-low: no } }\n",
            "5:52: slots.pi4.power.gpio.active-low: expected `true` or `false`, got the text \"no\"",
        ),
        (
            "    power: { manual: {}, gpio: {} }\n",
            "5:12: slots.pi4.power: expected a mapping with exactly one key, got one with none or several",
        ),
        ("    power: on\n", "5:12: slots.pi4.power: unknown choice `on`"),
        (
            "    power: gpio\n",
            "5:12: slots.pi4.power: expected a mapping with its settings below it (`name: {}` when there are none), got the name alone",
        ),
        (
            "    outputs: { reset: { gpio: { chip: a, lime: 3 } } }\n",
            "5:42: slots.pi4.outputs.reset.gpio.lime: unknown field `lime`; did you mean `line`?",
        ),
        (
            "    min-off: 2\n",
            "5:14: slots.pi4.min-off: expected a duration with its unit, such as `250ms`, `2s`, `5min` or `1h`, got the number `2`",
        ),
        (
            "    min-off: 2m\n",
            "5:14: slots.pi4.min-off: expected a duration with its unit, such as `250ms`, `2s`, `5min` or `1h`, got the text \"2m\"",
        ),
        (
            "    memory: 64\n",
            "5:13: slots.pi4.memory: expected a size with its unit, such as `512B`, `64MiB` or `2GiB`, got the number `64`",
        ),
        ("    tags: one\n", "5:11: slots.pi4.tags: expected a list, got the text \"one\""),
        ("    tags:\n      - a\n      - [b]\n", "7:9: slots.pi4.tags[1]: expected text, got a list"),
        (
            "    password: hunter2\n",
            "5:15: slots.pi4.password: a secret is named by its place, `{ env: NAME }` or `{ file: PATH }`",
        ),
        ("    board: pi5\n", "5:5: slots.pi4: `board` stands here twice (first on line 4)"),
        ("\ttags: []\n", "5:1: not YAML: a tab in the indentation"),
        ("    tags: [a, b\n", "6:1: not YAML: "),
        ("    tags: &x [a]\n", "5:11: slots.pi4.tags: an anchor (`&name`) is not used in documents"),
        ("    <<: {}\n", "5:5: slots.pi4: a merge (`<<`) is not used in documents"),
        ("    tags: !set [a]\n", "5:11: slots.pi4.tags: a tag (`!name`) is not used in documents"),
        ("---\nrig: two\n", "5:1: a second document (`---`) is not used in documents"),
    ] {
        let got = error(&format!("{HEAD}{text}"));
        assert!(got.to_string().starts_with(&format!("desk.yaml:{want}")), "got  {got:#}\nwant {want}");
    }
}

#[test]
fn the_long_form_shows_the_text_and_the_way_out() {
    let got = error(&format!("{HEAD}    power: {{ gpio: {{ chip: gpiochip0, lnie: 17 }} }}\n"));
    assert_eq!(
        format!("{got:#}"),
        "desk.yaml:5:39: slots.pi4.power.gpio.lnie: unknown field `lnie`; did you mean `line`?\n   \
         |\n 5 |     power: { gpio: { chip: gpiochip0, lnie: 17 } }\n   \
         |                                       ^^^^\n  \
         help: fields: `chip`, `line`, `active-low`"
    );
    assert_eq!(&got.text()[got.range()], "lnie");
}

//! Each helper by a table, and what holds for all of them.
#![allow(clippy::unwrap_used, reason = "a failing helper is the test's failure")]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::name::check_label;
use crate::domain::render::mark;

fn context() -> Value {
    json!({
        "environment": { "name": "shop-login-abcdefghij" },
        "project": { "namespace": "team", "name": "shop", "domain": "preview.example.com" },
        "repository": { "id": "7" },
    })
}

fn call(name: &str, args: &[Value]) -> Result<Value, String> {
    let function = all().find(|function| function.name == name).unwrap();
    function.call(&args.iter().collect::<Vec<_>>(), &context())
}

/// What a helper gives, where a fragment is the text it stands for.
fn given(name: &str, args: &Value) -> Result<Value, String> {
    let value = call(name, args.as_array().unwrap())?;
    Ok(emit::plain(&value).unwrap().into_owned())
}

fn check(cases: &[(&str, Value, Value)]) {
    for (name, args, wanted) in cases {
        assert_eq!(given(name, args), Ok(wanted.clone()), "{name} {args}");
    }
}

#[test]
fn texts_are_changed_as_helm_does() {
    check(&[
        ("lower", json!(["ÄB"]), json!("äb")),
        ("upper", json!(["äb"]), json!("ÄB")),
        ("title", json!(["hello wOrld a-b c_d it's"]), json!("Hello WOrld A-B C_d It'S")),
        ("kebabcase", json!(["HTTPServer"]), json!("http-server")),
        (
            "kebabcase",
            json!(["http2xx Bld4Floor3rd x86 a--b"]),
            json!("http-2xx-bld4-floor-3rd-x86-a--b"),
        ),
        ("snakecase", json!(["FirstName"]), json!("first_name")),
        (
            "camelcase",
            json!(["some-name here ALL_CAPS HTTPServer"]),
            json!("SomeNameHereAllCapsHttpserver"),
        ),
        ("trim", json!([" a\n"]), json!("a")),
        ("trimPrefix", json!(["a", "aab"]), json!("ab")),
        ("trimSuffix", json!(["-", "a--"]), json!("a-")),
        ("trunc", json!([2, "äöü"]), json!("äö")),
        ("trunc", json!([-2, "äöü"]), json!("öü")),
        ("replace", json!(["/", "-", "a/b/c"]), json!("a-b-c")),
        ("nospace", json!([" a b\tc "]), json!("abc")),
        ("repeat", json!([3, "ab"]), json!("ababab")),
        ("contains", json!(["b", "abc"]), json!(true)),
        ("hasPrefix", json!(["b", "abc"]), json!(false)),
        ("hasSuffix", json!(["bc", "abc"]), json!(true)),
        ("regexMatch", json!(["^v[0-9]+$", "v12"]), json!(true)),
        ("regexMatch", json!(["b", "abc"]), json!(true)),
        (
            "printf",
            json!(["%05d|%-5s|%5s|%q|%v|%t|%.2f|%x|%%", -42, "ab", "c", "d\"e", 1.5, false, 1.5, 255]),
            json!("-0042|ab   |    c|\"d\\\"e\"|1.5|false|1.50|ff|%"),
        ),
        ("indent", json!([2, "a\n\nb"]), json!("  a\n\n  b")),
        ("nindent", json!([1, "a"]), json!("\n a")),
    ]);
}

#[test]
fn values_are_encoded_and_decoded() {
    check(&[
        ("b64enc", json!(["abc\u{ff}"]), json!("YWJjw78=")),
        ("b64dec", json!(["YWJjw78="]), json!("abc\u{ff}")),
        (
            "sha256sum",
            json!([""]),
            json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ),
        (
            "toJson",
            json!([{ "b": [1, "x\"", null], "a": true }]),
            json!("{\"a\":true,\"b\":[1,\"x\\\"\",null]}"),
        ),
        ("fromJson", json!(["{\"a\": [1]}"]), json!({ "a": [1] })),
        ("fromYaml", json!(["a: [012, yes]"]), json!({ "a": [10, true] })),
        ("toYaml", json!([{ "a": ["b c"] }]), json!("a:\n  - \"b c\"\n")),
        ("quote", json!(["a\"b", 1, true]), json!("\"a\\\"b\" \"1\" \"true\"")),
        ("squote", json!(["a", 1]), json!("'a' '1'")),
    ]);
}

#[test]
fn values_are_chosen_and_compared_as_helm_does() {
    check(&[
        ("default", json!(["x", null]), json!("x")),
        ("default", json!(["x", 0]), json!("x")),
        ("default", json!(["x", false]), json!("x")),
        ("default", json!(["x", {}]), json!("x")),
        ("default", json!(["x", "y"]), json!("y")),
        ("coalesce", json!([null, 0, "", "x", "y"]), json!("x")),
        ("coalesce", json!([null]), json!(null)),
        ("empty", json!([[]]), json!(true)),
        ("required", json!(["m", false]), json!(false)),
        ("ternary", json!(["a", "b", false]), json!("b")),
        ("and", json!([1, "", 2]), json!("")),
        ("and", json!([1, 2]), json!(2)),
        ("or", json!([0, "x", 2]), json!("x")),
        ("or", json!([0, ""]), json!("")),
        ("not", json!([[]]), json!(true)),
        ("eq", json!([1, 2, 1.0]), json!(true)),
        ("eq", json!(["1", 1]), json!(false)),
        ("ne", json!([1, 2]), json!(true)),
        ("lt", json!([1, 1.5]), json!(true)),
        ("le", json!(["a", "a"]), json!(true)),
        ("gt", json!([2, 10]), json!(false)),
        ("ge", json!([10, 2]), json!(true)),
    ]);
}

#[test]
fn numbers_are_computed() {
    check(&[
        ("add", json!([1, "2", 3.9]), json!(6)),
        ("sub", json!([5, 7]), json!(-2)),
        ("mul", json!([2, 3, 4]), json!(24)),
        ("div", json!([-7, 2]), json!(-3)),
        ("mod", json!([-7, 2]), json!(-1)),
        ("max", json!([1, 5, 3]), json!(5)),
        ("min", json!([4, 2]), json!(2)),
        ("len", json!(["äb"]), json!(3)),
        ("len", json!([{ "a": 1 }]), json!(1)),
        ("int", json!(["12"]), json!(12)),
        ("int64", json!([3.9]), json!(3)),
        ("float64", json!(["1.5"]), json!(1.5)),
        ("float64", json!([2]), json!(2)),
        ("toString", json!([true]), json!("true")),
    ]);
}

#[test]
fn lists_and_mappings_are_built_and_read() {
    let map = json!({ "a": { "b": 0 }, "c": 1 });
    check(&[
        ("list", json!([1, "a"]), json!([1, "a"])),
        ("until", json!([3]), json!([0, 1, 2])),
        ("first", json!([[1, 2]]), json!(1)),
        ("last", json!([[]]), json!(null)),
        ("rest", json!([[1, 2]]), json!([2])),
        ("initial", json!([[1, 2]]), json!([1])),
        ("append", json!([[1], 2]), json!([1, 2])),
        ("prepend", json!([[1], 2]), json!([2, 1])),
        ("concat", json!([[1], [], [2]]), json!([1, 2])),
        ("uniq", json!([[1, "1", 1]]), json!([1, "1"])),
        ("without", json!([[1, 2, 3], 2, 3]), json!([1])),
        ("has", json!([2, [1, 2]]), json!(true)),
        ("reverse", json!([[1, 2]]), json!([2, 1])),
        ("compact", json!([[0, "", "a"]]), json!(["a"])),
        ("sortAlpha", json!([["b", "a", 1]]), json!(["1", "a", "b"])),
        ("join", json!(["-", [1, "a", null, true]]), json!("1-a-true")),
        ("splitList", json!([",", "a,,b"]), json!(["a", "", "b"])),
        ("splitList", json!(["", "ab"]), json!(["a", "b"])),
        ("dict", json!(["a", 1, "b", [2]]), json!({ "a": 1, "b": [2] })),
        ("get", json!([map, "c"]), json!(1)),
        ("get", json!([map, "x"]), json!("")),
        ("get", json!([null, "x"]), json!("")),
        ("hasKey", json!([map, "c"]), json!(true)),
        ("hasKey", json!([null, "c"]), json!(false)),
        ("dig", json!(["a", "b", "x", map]), json!(0)),
        ("dig", json!(["a", "z", "x", map]), json!("x")),
        ("dig", json!(["a", "x", null]), json!("x")),
        ("keys", json!([map, { "b": 1 }]), json!(["a", "b", "c"])),
        ("values", json!([{ "b": 1, "a": 2 }]), json!([2, 1])),
        ("pluck", json!(["a", { "a": 1 }, {}, { "a": 2 }]), json!([1, 2])),
        ("pick", json!([map, "c", "z"]), json!({ "c": 1 })),
        ("omit", json!([map, "c"]), json!({ "a": { "b": 0 } })),
        (
            "merge",
            json!([{ "a": false, "n": { "x": 1 }, "s": "s" }, { "a": true, "n": { "x": 2, "z": 3 }, "s": "t", "l": 1 }]),
            json!({ "a": true, "n": { "x": 1, "z": 3 }, "s": "s", "l": 1 }),
        ),
        (
            "mergeOverwrite",
            json!([{ "a": true, "b": 1 }, { "a": false }]),
            json!({ "a": false, "b": 1 }),
        ),
        ("lookup", json!([{ "a.b": 1 }, "a.b"]), json!(1)),
        ("lookup", json!([[5, 6], 1]), json!(6)),
    ]);
}

#[test]
fn versions_fulfil_constraints_as_helm_says() {
    let versions = ["1.2.3", "1.4.9", "2.0.0", "1.3.0-rc1", "0.2.5", "v1.2"];
    for (constraint, wanted) in [
        (">=1.2", [true, true, true, false, false, true]),
        ("^1.2", [true, true, false, false, false, true]),
        ("~1.2.3", [true, false, false, false, false, false]),
        ("1.x || 3.x", [true, true, false, false, false, true]),
        ("1.2 - 1.4", [true, true, false, false, false, true]),
        ("!=1.2.3", [false, true, true, false, true, true]),
        (">=1.2.0-0", [true, true, true, true, false, true]),
        ("<2, >1", [false, false, false, false, false, false]),
        (">= 1.2 <2", [true, true, false, false, false, true]),
        ("*", [true, true, true, false, true, true]),
        ("1.2", [true, false, false, false, false, true]),
        (">1.2", [false, true, true, false, false, false]),
        ("<=1.2", [true, false, false, false, true, true]),
        ("^0.2", [false, false, false, false, true, false]),
        ("~1", [true, true, false, false, false, true]),
    ] {
        let found = versions.map(|version| given("semverCompare", &json!([constraint, version])).unwrap() == json!(true));
        assert_eq!(found, wanted, "{constraint}");
    }
    assert_eq!(given("semver", &json!(["v1.2.3-rc1+b"])).unwrap()["Prerelease"], "rc1");
}

#[test]
fn images_and_resources_are_checked() {
    let digest = format!("sha256:{}", "a".repeat(64));
    check(&[
        ("image", json!(["nginx"]), json!("nginx")),
        ("image", json!(["ghcr.io/team/shop", "1.2"]), json!("ghcr.io/team/shop:1.2")),
        ("image", json!(["localhost:5000/a", ""]), json!("localhost:5000/a")),
        ("image", json!(["a/b:1"]), json!("a/b:1")),
        ("image", json!(["a", digest]), json!(format!("a@{digest}"))),
        ("image", json!(["a", "1", digest]), json!(format!("a:1@{digest}"))),
        (
            "image",
            json!([{ "registry": "r.example", "repository": "a", "tag": "1" }]),
            json!("r.example/a:1"),
        ),
        (
            "resources",
            json!(["cpu=100m/1", "memory=128Mi"]),
            json!("limits:\n  cpu: \"1\"\nrequests:\n  cpu: \"100m\"\n  memory: \"128Mi\"\n"),
        ),
        ("resources", json!([{ "memory": "/1Gi" }]), json!("limits:\n  memory: \"1Gi\"\n")),
        ("host", json!(["api"]), json!("api-shop-login-abcdefghij.preview.example.com")),
        ("dnsLabel", json!(["already-fine"]), json!("already-fine")),
    ]);
}

#[test]
fn what_a_helper_cannot_use_is_named() {
    for (name, args, wanted) in [
        ("lower", json!([{}]), "lower: argument 1 should be text, but it got a mapping"),
        (
            "quote",
            json!([null]),
            "quote: argument 1 should be text, but it got null; write {{quote VALUE…}}",
        ),
        (
            "lookup",
            json!([{ "image": 1 }, "imgae"]),
            "lookup: \"imgae\" is not defined (did you mean \"image\"?)",
        ),
        (
            "trunc",
            json!(["a", 5]),
            "trunc: argument 1 should be a whole number, but it got text; write {{trunc LENGTH TEXT}}",
        ),
        (
            "get",
            json!(["k", {}]),
            "get: argument 2 should be text, but it got a mapping; write {{get MAPPING KEY}}",
        ),
        (
            "join",
            json!([["a"], ","]),
            "join: argument 1 should be text, but it got a list; write {{join SEPARATOR LIST}}",
        ),
        ("replace", json!(["", "b", "a"]), "replace: the text to replace must not be empty"),
        (
            "host",
            json!(["a.b"]),
            "host: the host label \"a.b-shop-login-abcdefghij\" must consist of lower-case letters, digits and '-'",
        ),
        ("required", json!(["say who", ""]), "say who"),
        ("fail", json!(["no"]), "no"),
        (
            "ternary",
            json!([1, 2, "x"]),
            "ternary: argument 3 should be true or false, but it got text; write {{ternary A B CONDITION}}",
        ),
        (
            "lt",
            json!([1, "2"]),
            "lt: two numbers or two texts can be compared, not a number and text",
        ),
        ("div", json!([1, 0]), "div: division by zero"),
        ("add", json!([i64::MAX, 1]), "add: the result is beyond what 64 bits hold"),
        ("int", json!(["x"]), "int: argument 1 should be a whole number, but it got text"),
        (
            "until",
            json!([1001]),
            "until: argument 1 should be a number from 0 to 1000, but it got a number",
        ),
        ("dict", json!(["a"]), "dict: the last key has no value"),
        (
            "dict",
            json!(["\u{fdd0}", "marked"]),
            "dict: a key must not be the noncharacter U+FDD0",
        ),
        (
            "fromJson",
            json!(["{\"\u{fdd0}\":\"marked\",\"content\":\"x\"}"]),
            "fromJson: a key must not be the noncharacter U+FDD0",
        ),
        (
            "fromYaml",
            json!(["a: b: c"]),
            "fromYaml: the text is not valid YAML: mapping values are not allowed in this context",
        ),
        ("b64dec", json!(["*"]), "b64dec: the text is not Base64"),
        (
            "printf",
            json!(["%d", "x"]),
            "printf: argument 2 should be a whole number, as the format has %d, but it got text; write {{printf FORMAT VALUE…}}",
        ),
        ("printf", json!(["%s"]), "printf: the format needs more values than the 0 given"),
        ("printf", json!(["a", 1]), "printf: the format uses 0 of the 1 values given"),
        (
            "printf",
            json!(["%y", 1]),
            "printf: the verb %y is not known: there are %s, %d, %q, %v, %t, %f, %x and %%",
        ),
        (
            "regexMatch",
            json!(["(", "x"]),
            "regexMatch: the regular expression cannot be used: unclosed group",
        ),
        (
            "semverCompare",
            json!([">=x.y", "1"]),
            "semverCompare: \">=x.y\" in the constraint is not a comparison such as >=1.2",
        ),
        ("semver", json!(["one"]), "semver: \"one\" is not a version such as 1.2.3"),
        (
            "squote",
            json!(["\u{7}"]),
            "squote: the control character '\\u{7}' can only be written by {{quote …}}",
        ),
        (
            "image",
            json!(["Shop"]),
            "image: \"Shop\" is not the name of an image repository such as ghcr.io/team/shop",
        ),
        (
            "image",
            json!(["a:1", "2"]),
            "image: the repository \"a:1\" already says which tag or digest",
        ),
        (
            "image",
            json!(["a", 1.1]),
            "image: the tag is the number 1.1: write it between quotes, or 1.10 becomes 1.1",
        ),
        (
            "image",
            json!(["a", "sha256:x"]),
            "image: \"sha256:x\" is not a digest such as sha256: and 64 hexadecimal digits",
        ),
        (
            "image",
            json!(["a", "-x"]),
            "image: \"-x\" is not a tag: 1 to 128 letters, digits, '_', '.' and '-', and the first is neither '.' nor '-'",
        ),
        (
            "resources",
            json!(["cpu=2/1"]),
            "resources: cpu requests 2, which is more than its limit of 1",
        ),
        ("resources", json!(["cpu"]), "resources: \"cpu\" should be like cpu=100m/1"),
        (
            "resources",
            json!(["cpu=1x"]),
            "resources: cpu: \"1x\" is not a quantity such as 100m, 2 or 128Mi",
        ),
        (
            "randAlpha",
            json!(["label", 5]),
            "randAlpha: argument 1 should be a number from 0 to 1000, but it got text; write {{randAlpha LENGTH LABEL SEED…}}",
        ),
    ] {
        assert_eq!(given(name, &args), Err(wanted.to_owned()), "{name} {args}");
    }
}

#[test]
fn feature_p4_random_text_follows_from_the_environment_the_label_and_the_seed() {
    let random = |name: &str, args: Value| given(name, &args).unwrap().as_str().unwrap().to_owned();
    // Pinned: these are in clusters, and a new release must not change them.
    assert_eq!(random("randAlphaNum", json!([12, "a"])), "vCNq8vIPHiBE");
    assert_eq!(random("uuidv4", json!(["a"])), "f607936c-159a-4540-866a-d874dbf68151");
    assert_ne!(random("randAlphaNum", json!([12, "a"])), random("randAlphaNum", json!([12, "b"])));
    assert_ne!(
        random("randAlphaNum", json!([12, "a"])),
        random("randAlphaNum", json!([12, "a", "seed"]))
    );
    assert_ne!(
        random("randAlphaNum", json!([12, "ab", "c"])),
        random("randAlphaNum", json!([12, "a", "bc"]))
    );
    assert!(random("randNumeric", json!([500, "a"])).bytes().all(|byte| byte.is_ascii_digit()));
    assert!(
        random("randAlpha", json!([500, "a"]))
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic())
    );
    let uuid = random("uuidv4", json!(["a"]));
    assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"), "{uuid}");
    let mut other = context();
    other["environment"]["name"] = json!("shop-main-abcdefghij");
    let function = all().find(|function| function.name == "uuidv4").unwrap();
    assert_ne!(function.call(&[&json!("a")], &other).unwrap(), json!(uuid));
}

#[test]
fn dns_labels_are_valid_and_different_texts_stay_different() {
    let texts = [
        "feature/a",
        "feature-a",
        "Feature/A",
        "🎉",
        "",
        &"x".repeat(64),
        &"x".repeat(65),
        "-a-",
    ];
    let labels: std::collections::BTreeSet<String> = texts.iter().map(|text| own::dns_label(text)).collect();
    assert_eq!(labels.len(), texts.len(), "{labels:?}");
    assert!(labels.iter().all(|label| check_label(label).is_ok()), "{labels:?}");
}

#[test]
fn f81_no_helper_grows_without_end() {
    let long = json!("a".repeat(2_000));
    let many = json!(vec!["ab"; 2_000]);
    for (name, args) in [
        ("replace", json!(["a", long, long])),
        ("repeat", json!([1_000, long])),
        ("join", json!([long, many])),
        ("printf", json!(vec![json!("%1000s".repeat(2_000))])),
        ("regexMatch", json!(["(a{500}){500}", "a"])),
        ("regexMatch", json!(["a".repeat(1_001), "a"])),
        ("concat", json!(vec![json!(vec![0; 5_000]); 32])),
        ("uniq", json!([vec![0; 5_001]])),
    ] {
        assert!(given(name, &args).is_err(), "{name}");
    }
    let mut deep = json!(0);
    for _ in 0..126 {
        deep = call("list", &[deep]).unwrap();
    }
    assert!(call("list", &[json!([deep])]).unwrap_err().contains("nested deeper than 128"));
}

#[test]
fn every_helper_is_described_and_named_once() {
    let mut names: Vec<_> = all().map(|function| function.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all().count());
    for function in all() {
        assert!(function.arity.usage.contains(function.name), "{}", function.arity.usage);
        assert!(function.description.ends_with(['.', '`']), "{}", function.description);
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_i64..70).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[%0-9a-z.,:/=*()\\[\\]+?{}|\"'\\\\ \u{fdd0}-\u{fdd3}-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c\u{fdd0}]{0,2}", inner, 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever a helper is given, it answers or refuses; what it answers can be written, or refused with words.
    #[test]
    fn f81_no_helper_panics(args in prop::collection::vec(value(), 0..6)) {
        let arguments: Vec<&Value> = args.iter().collect();
        for function in all().filter(|function| (function.arity.least..=function.arity.most).contains(&args.len())) {
            if let Ok(value) = function.call(&arguments, &context()) {
                let _ = emit::emit(&value);
                let _ = mark::readable(&value.to_string());
            }
        }
    }
}

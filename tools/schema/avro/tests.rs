mod properties;

use serde_json::{Value, json};

use super::Schema;
use super::encode::write_long;
use crate::schema::JsonStyle;
use crate::schema::json::parse;

const STYLES: [JsonStyle; 2] = [JsonStyle::Tagged, JsonStyle::Plain];

fn schema(schema: &Value) -> Schema {
    Schema::parse(&schema.to_string(), &[]).expect("a schema")
}

fn decoded(schema: &Schema, bytes: &[u8], style: JsonStyle) -> Result<String, String> {
    let mut out = Vec::new();
    let decoded = schema.decode(bytes, style, &mut out);
    decoded.map_err(|wrong| wrong.to_string())?;
    Ok(String::from_utf8(out).expect("JSON is text"))
}

fn encoded(schema: &Schema, text: &str, style: JsonStyle) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let value = parse(text.as_bytes()).map_err(|wrong| wrong.to_string())?;
    let encoded = schema.encode(&value, style, &mut out);
    encoded.map_err(|wrong| wrong.to_string())?;
    Ok(out)
}

/// A value in both forms, there and back.
fn check(kind: &Value, tagged: &str, plain: &str, bytes: &[u8]) {
    let schema = schema(kind);
    for (style, text) in STYLES.into_iter().zip([tagged, plain]) {
        assert_eq!(
            decoded(&schema, bytes, style).as_deref(),
            Ok(text),
            "{kind}"
        );
        assert_eq!(
            encoded(&schema, text, style).as_deref(),
            Ok(bytes),
            "{kind} {text}"
        );
    }
}

#[test]
fn primitive_values_are_those_of_the_specification() {
    check(&json!("null"), "null", "null", &[]);
    check(&json!("boolean"), "true", "true", &[1]);
    check(
        &json!("int"),
        "-2147483648",
        "-2147483648",
        &[255, 255, 255, 255, 15],
    );
    let lowest = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
    check(
        &json!("long"),
        "-9223372036854775808",
        "-9223372036854775808",
        &lowest,
    );
    check(&json!("long"), "64", "64", &[128, 1]);
    check(&json!("float"), "0.1", "0.1", &0.1f32.to_le_bytes());
    check(
        &json!("double"),
        "1e+300",
        "1e+300",
        &1e300f64.to_le_bytes(),
    );
    check(
        &json!("double"),
        "\"-Infinity\"",
        "\"-Infinity\"",
        &f64::NEG_INFINITY.to_le_bytes(),
    );
    check(
        &json!("string"),
        "\"foo\"",
        "\"foo\"",
        &[6, b'f', b'o', b'o'],
    );
    check(
        &json!("bytes"),
        "\"\u{ff}\\u0000\"",
        "\"/wA=\"",
        &[4, 255, 0],
    );
}

#[test]
fn unions_are_tagged_with_the_full_name_or_stand_alone() {
    let kind = json!(["null", "string", {"type": "enum", "name": "a.E", "symbols": ["X", "Y"]},
        {"type": "array", "items": "long"}]);
    check(&kind, "null", "null", &[0]);
    let symbol = schema(&kind);
    assert_eq!(
        decoded(&symbol, &[4, 2], JsonStyle::Tagged).as_deref(),
        Ok("{\"a.E\":\"Y\"}")
    );
    check(&kind, "{\"array\":[1]}", "[1]", &[6, 2, 2, 0]);
    assert_eq!(
        encoded(&symbol, "\"other\"", JsonStyle::Tagged),
        Ok(vec![2, 10, b'o', b't', b'h', b'e', b'r'])
    );
    let both = encoded(&symbol, "\"Y\"", JsonStyle::Plain).expect_err("two branches");
    assert!(both.contains("fits string and a.E of the union"), "{both}");
    let numbers = schema(&json!(["int", "double"]));
    assert_eq!(encoded(&numbers, "5", JsonStyle::Plain), Ok(vec![0, 10]));
    assert_eq!(
        encoded(&numbers, "5.5", JsonStyle::Plain).map(|bytes| bytes[0]),
        Ok(2)
    );
}

#[test]
fn logical_types_are_numbers_or_text() {
    check(
        &json!({"type": "int", "logicalType": "date"}),
        "19723",
        "\"2024-01-01\"",
        &[150, 180, 2],
    );
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2});
    check(
        &decimal,
        "\"\u{4}\u{d2}\"".replace('\u{4}', "\\u0004").as_str(),
        "\"12.34\"",
        &[4, 4, 210],
    );
    assert_eq!(
        encoded(&schema(&decimal), "12.34", JsonStyle::Tagged),
        Ok(vec![4, 4, 210])
    );
    let fixed = json!({"type": "fixed", "name": "D", "size": 4, "logicalType": "decimal", "precision": 9, "scale": 2});
    check(
        &fixed,
        "\"\u{ff}\u{ff}\u{fb}.\"",
        "\"-12.34\"",
        &[255, 255, 0xfb, 0x2e],
    );
    // Out of range of the type's own words it stays a number.
    let millis = json!({"type": "long", "logicalType": "timestamp-millis"});
    let far = schema(&millis);
    let bytes = encoded(&far, &i64::MAX.to_string(), JsonStyle::Plain).expect("a number");
    assert_eq!(
        decoded(&far, &bytes, JsonStyle::Plain),
        Ok(i64::MAX.to_string())
    );
    check(
        &json!({"type": "long", "logicalType": "decimal"}),
        "1",
        "1",
        &[2],
    );
}

#[test]
fn names_are_resolved_in_their_namespaces_and_schemas_may_refer_to_themselves() {
    let list = json!({"type": "record", "name": "List", "namespace": "org.x", "fields": [
        {"name": "value", "type": "int"},
        {"name": "next", "type": ["null", "List"], "default": null}]});
    let list = schema(&list);
    let text = "{\"value\":1,\"next\":{\"org.x.List\":{\"value\":2,\"next\":null}}}";
    let bytes = [2, 2, 4, 0];
    assert_eq!(
        decoded(&list, &bytes, JsonStyle::Tagged).as_deref(),
        Ok(text)
    );
    assert_eq!(encoded(&list, text, JsonStyle::Tagged), Ok(bytes.to_vec()));
    assert_eq!(
        encoded(
            &list,
            "{\"value\":1,\"next\":{\"value\":2}}",
            JsonStyle::Plain
        ),
        Ok(bytes.to_vec())
    );
    let endless = [2u8, 2].repeat(5000);
    assert!(
        decoded(&list, &endless, JsonStyle::Tagged)
            .is_err_and(|why| why.contains("nested too deeply"))
    );
    assert_eq!(list.name(), Some("org.x.List"));
    let reference = json!({"type": "fixed", "name": "x.F", "size": 1}).to_string();
    let outer = json!({"type": "record", "name": "x.R", "fields": [{"name": "f", "type": "F"}]})
        .to_string();
    let outer = Schema::parse(&outer, &[reference]).expect("a schema with a reference");
    assert_eq!(
        decoded(&outer, b"A", JsonStyle::Tagged).as_deref(),
        Ok("{\"f\":\"A\"}")
    );
}

#[test]
fn a_value_that_does_not_fit_is_named_with_its_path_and_the_expected_type() {
    let kind = json!({"type": "record", "name": "Order", "fields": [
        {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": [
            {"name": "price", "type": "long"}, {"name": "note", "type": ["null", "string"], "default": null}]}}}]});
    let order = schema(&kind);
    let wrong = |text| encoded(&order, text, JsonStyle::Tagged).expect_err(text);
    assert_eq!(
        wrong("{\"items\":[{\"price\":1},{\"price\":\"x\"}]}"),
        ".items[1].price: expected long, found \"x\""
    );
    assert_eq!(
        wrong("{\"items\":[{}]}"),
        ".items[0].price: missing, expected long"
    );
    assert_eq!(
        wrong("{\"items\":[{\"price\":1,\"note\":{\"string\":2}}]}"),
        ".items[0].note.string: expected string, found 2"
    );
    assert_eq!(
        wrong("{\"items\":[],\"item\":1}"),
        ".item: the record Order has no such field"
    );
    assert_eq!(
        wrong("{\"items\":[{\"price\":1.5}]}"),
        ".items[0].price: expected long, found 1.5"
    );
    assert_eq!(
        wrong("[]"),
        "expected an object for the record Order, found an array"
    );
    let cut = |bytes: &[u8]| decoded(&order, bytes, JsonStyle::Tagged).expect_err("wrong bytes");
    assert_eq!(cut(&[2]), ".items[0].price: the bytes end within a long");
    assert_eq!(cut(&[2, 2, 6, 0]), ".items[0].note: union 3 of 2");
    assert_eq!(cut(&[0, 0]), "1 bytes are left behind the value");
}

/// Regression: bytes beside it were tried for an array too, and two refusals hid why.
#[test]
fn a_value_inside_a_branch_that_fits_two_says_so_whatever_is_beside_the_branch() {
    let items = json!({"type": "array", "items": ["double", "float"]});
    let object = json!({"type": "map", "values": ["double", "float"]});
    for (branch, text) in [(items, "[0.5]"), (object, r#"{"a": 0.5}"#)] {
        for beside in ["bytes", "int", "double"] {
            let union = schema(&json!([beside, branch]));
            let error = encoded(&union, text, JsonStyle::Plain).expect_err("either");
            assert!(
                error.contains("fits double and float of the union"),
                "{error}"
            );
        }
    }
    let record = |name: &str, kind: &serde_json::Value| json!({"type": "record", "name": name, "fields": [{"name": "f", "type": kind}]});
    let numbers = json!(["double", "float"]);
    let union = schema(&json!([record("A", &json!("null")), record("B", &numbers)]));
    let error = encoded(&union, r#"{"f": 0.5}"#, JsonStyle::Plain).expect_err("either");
    assert!(
        error.contains("fits double and float of the union"),
        "{error}"
    );
}

#[test]
fn a_schema_that_is_none_is_refused() {
    for wrong in [
        "{}",
        "[[\"null\"]]",
        "\"nothing\"",
        "5",
        "",
        "{\"type\":\"record\",\"name\":\"x\"}",
        "[\"int\",\"int\"]",
        "{\"type\":\"array\"}",
        "{\"type\":\"fixed\",\"name\":\"f\",\"size\":-1}",
        "{\"type\":\"enum\",\"name\":\"e\"}",
        "{\"type\":\"record\",\"fields\":[]}",
    ] {
        assert!(Schema::parse(wrong, &[]).is_err(), "{wrong}");
    }
    assert!(Schema::parse(&"[".repeat(100_000), &[]).is_err());
    assert!(Schema::parse("string", &[]).is_ok());
}

#[test]
fn a_schema_of_many_names_is_parsed_in_a_moment() {
    let since = std::time::Instant::now();
    let fixed = |n| json!({"type": "fixed", "name": format!("F{n}"), "size": 1});
    let branches: Value = (0..50_000).map(fixed).collect();
    let field = |n| json!({"name": format!("f{n}"), "type": "null"});
    let fields: Value = (0..50_000).map(field).collect();
    let record = json!({"type": "record", "name": "R", "fields": fields});
    for kind in [branches, record] {
        schema(&kind);
    }
    assert!(since.elapsed().as_secs() < 20, "{since:?}");
}

#[test]
fn defaults_within_defaults_make_no_endless_value() {
    let level = |inner: Value, n| {
        let field = |name| json!({"name": name, "type": format!("R{n}"), "default": {}});
        let first = json!({"name": "a", "type": inner, "default": {}});
        let fields = [first, field("b"), field("c")];
        json!({"type": "record", "name": format!("R{}", n + 1), "fields": fields})
    };
    let leaf = json!({"type": "record", "name": "R0", "fields": []});
    let doubling = schema(&(0..60).fold(leaf, level));
    let error = encoded(&doubling, "{}", JsonStyle::Tagged).expect_err("3 to the 60");
    assert!(error.contains("too many defaults"), "{error}");
}

#[test]
fn a_few_bytes_make_no_endless_value() {
    let nulls = schema(&json!({"type": "array", "items": "null"}));
    let mut bytes = Vec::new();
    write_long(i64::MAX, &mut bytes);
    bytes.push(0);
    assert!(decoded(&nulls, &bytes, JsonStyle::Tagged).is_err());
    let blocks = schema(&json!({"type": "array", "items": "int"}));
    assert_eq!(
        decoded(&blocks, &[3, 4, 2, 4, 2, 6, 0], JsonStyle::Tagged).as_deref(),
        Ok("[1,2,3]")
    );
}

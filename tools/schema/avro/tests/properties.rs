//! Values of any schema, there and back.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Schema;
use super::super::encode::write_long;
use super::{STYLES, decoded, encoded};
use crate::schema::JsonStyle;

/// A schema, and the bytes of some values.
#[derive(Clone, Debug)]
struct Sample {
    schema: Value,
    values: Vec<Vec<u8>>,
}

fn leaf() -> impl Strategy<Value = Sample> {
    fn of<T: std::fmt::Debug>(
        schema: Value,
        values: impl Strategy<Value = T>,
        bytes: fn(T) -> Vec<u8>,
    ) -> impl Strategy<Value = Sample> {
        let values = values.prop_map(bytes);
        prop::collection::vec(values, 3).prop_map(move |values| {
            let schema = schema.clone();
            Sample { schema, values }
        })
    }
    fn long(number: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_long(number, &mut bytes);
        bytes
    }
    fn framed(bytes: &[u8]) -> Vec<u8> {
        let mut out = long(bytes.len() as i64);
        out.extend_from_slice(bytes);
        out
    }
    let logical = prop::sample::select(vec![
        "timestamp-millis",
        "timestamp-micros",
        "timestamp-nanos",
        "local-timestamp-millis",
        "time-micros",
        "none",
    ]);
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        of(json!("null"), Just(()), |()| Vec::new()),
        of(json!("boolean"), any::<bool>(), |value| vec![value.into()]),
        of(json!("int"), any::<i32>(), |number| long(number.into())),
        of(
            json!({"type": "int", "logicalType": "date"}),
            any::<i32>(),
            |number| long(number.into())
        ),
        logical.prop_flat_map(|name| {
            let numbers = (any::<i64>(), 0u32..40).prop_map(|(number, shift)| number >> shift);
            of(json!({"type": "long", "logicalType": name}), numbers, long)
        }),
        of(json!("float"), any::<f32>(), |number| number
            .to_le_bytes()
            .to_vec()),
        of(json!("double"), any::<f64>(), |number| number
            .to_le_bytes()
            .to_vec()),
        of(json!("string"), "\\PC{0,8}", |text| framed(text.as_bytes())),
        of(json!("bytes"), bytes(), |bytes| framed(&bytes)),
        of(
            json!({"type": "fixed", "name": "Fix", "size": 3}),
            any::<[u8; 3]>(),
            |bytes| bytes.to_vec()
        ),
        of(
            json!({"type": "fixed", "name": "Id", "size": 16, "logicalType": "uuid"}),
            any::<[u8; 16]>(),
            |b| b.to_vec()
        ),
        of(
            json!({"type": "fixed", "name": "Price", "size": 9, "logicalType": "decimal", "precision": 30, "scale": 4}),
            any::<[u8; 9]>(),
            |b| b.to_vec()
        ),
        of(
            json!({"type": "enum", "name": "Enum", "symbols": ["A", "B", "C"]}),
            0..3i64,
            long
        ),
    ]
}

fn samples() -> impl Strategy<Value = Sample> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let children = || prop::collection::vec(inner.clone(), 1..4);
        let name = "[A-Z][a-z]{9}";
        prop_oneof![
            inner.clone().prop_map(|item| Sample {
                values: vec![vec![0], list(&item.values[..1]), list(&item.values)],
                schema: json!({"type": "array", "items": item.schema}),
            }),
            inner.clone().prop_map(|item| Sample {
                values: vec![vec![0], map(&item.values[..2]), map(&item.values)],
                schema: json!({"type": "map", "values": item.schema}),
            }),
            children().prop_map(|branches| Sample {
                values: (0..3).map(|at| {
                    let branch = at % branches.len();
                    let mut bytes = Vec::new();
                    write_long(branch as i64, &mut bytes);
                    bytes.extend_from_slice(&branches[branch].values[at]);
                    bytes
                }).collect(),
                schema: branches.into_iter().map(|branch| branch.schema).collect(),
            }),
            (name, children()).prop_map(|(name, fields)| Sample {
                values: (0..3).map(|at| fields.iter().flat_map(|field| field.values[at].clone()).collect()).collect(),
                schema: json!({"type": "record", "name": name, "fields": fields.iter().enumerate().map(|(at, field)| {
                    json!({"name": format!("f{at}"), "type": field.schema})
                }).collect::<Vec<_>>()}),
            }),
        ]
    })
}

fn list(values: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_long(values.len() as i64, &mut bytes);
    bytes.extend(values.concat());
    bytes.push(0);
    bytes
}

fn map(values: &[Vec<u8>]) -> Vec<u8> {
    let keyed = values.iter().enumerate().map(|(at, value)| {
        let mut bytes = vec![2, b'a' + at as u8];
        bytes.extend_from_slice(value);
        bytes
    });
    list(&keyed.collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn every_value_of_every_schema_comes_back_byte_for_byte(sample in samples()) {
        // Names that are there twice make no schema.
        if let Ok(schema) = Schema::parse(&sample.schema.to_string(), &[]) {
            for bytes in &sample.values {
                let text = decoded(&schema, bytes, JsonStyle::Tagged).expect("a value");
                prop_assert_eq!(encoded(&schema, &text, JsonStyle::Tagged), Ok(bytes.clone()), "{}", text);
                // Without tags a value comes back, or it is reported that it can't.
                let text = decoded(&schema, bytes, JsonStyle::Plain).expect("a value");
                match encoded(&schema, &text, JsonStyle::Plain) {
                    Ok(again) => prop_assert_eq!(decoded(&schema, &again, JsonStyle::Plain), Ok(text)),
                    Err(wrong) => prop_assert!(wrong.contains("of the union"), "{} {}", wrong, text),
                }
            }
        }
    }

    #[test]
    fn no_bytes_and_no_text_make_it_panic(sample in samples(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(schema) = Schema::parse(&sample.schema.to_string(), &[]) {
            for style in STYLES {
                if let Ok(text) = decoded(&schema, &bytes, style) {
                    drop(encoded(&schema, &text, style));
                }
            }
        }
    }
}

//! Protobuf: messages of a schema that is known at run time, and their canonical JSON.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{DynamicMessage, FileDescriptor, MessageDescriptor, SerializeOptions};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::{Mismatch, json};

/// The messages of a file.
pub struct Messages {
    file: FileDescriptor,
    /// The path to the one that is written: Java's console producer writes the first as well.
    chosen: Vec<usize>,
    /// Whether the schema was registered as a parsed file.
    is_descriptor: bool,
}

/// What the file of a schema is called; it has no name in a registry.
const NAME: &str = "schema.proto";

impl Messages {
    /// Parses a file; `references` are the names and texts of those that it imports.
    ///
    /// # Errors
    /// The reason.
    pub fn parse(text: &str, references: &[(String, String)]) -> Result<Messages, String> {
        let files = references
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        let files = files.chain([(NAME, text)]);
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let mut resolver = ChainFileResolver::new();
        resolver.add(Files(files.collect()));
        resolver.add(GoogleFileResolver::new());
        let mut compiler = Compiler::with_file_resolver(resolver);
        let opened = compiler.include_imports(true).open_file(NAME);
        opened.map_err(|why| why.to_string())?;
        let pool = compiler.descriptor_pool();
        let file = pool.get_file_by_name(NAME).ok_or("a file without a name")?;
        Ok(Messages {
            file,
            chosen: vec![0],
            is_descriptor: parsed(NAME, text).is_some(),
        })
    }

    /// Chooses the message to write, by its name with the package or without: `shop.Order.Item`, `Order.Item`.
    ///
    /// # Errors
    /// The reason.
    pub fn choose(&mut self, name: &str) -> Result<(), String> {
        let missing = || {
            let all: Vec<String> = self.file.messages().map(|m| m.name().to_owned()).collect();
            format!("no message {name} (it has {})", all.join(", "))
        };
        let package = self.file.package_name();
        let local = name.strip_prefix(package);
        let local = local
            .and_then(|rest| rest.strip_prefix('.'))
            .unwrap_or(name);
        let mut level: Vec<MessageDescriptor> = self.file.messages().collect();
        let mut path = Vec::new();
        for step in local.split('.') {
            let at = level.iter().position(|message| message.name() == step);
            let at = at.ok_or_else(missing)?;
            level = inner_messages(&level[at], false).collect();
            path.push(at);
        }
        self.chosen = path;
        Ok(())
    }

    /// The path to the message to write.
    pub fn chosen(&self) -> &[usize] {
        &self.chosen
    }

    /// Whether a record's schema alone does not say which message it is.
    pub fn has_several(&self) -> bool {
        self.file.messages().len() > 1
    }

    /// The message at a path: its number among those of its level, from the outside.
    ///
    /// A map field has a message of its own, which Java does not count and the clients of other languages do.
    fn at(&self, indexes: &[usize]) -> Option<MessageDescriptor> {
        let (&first, rest) = indexes.split_first()?;
        let outer = self.file.messages().nth(first)?;
        let find = |counts_maps: bool| {
            let mut path = rest.iter();
            let found = path.try_fold(outer.clone(), |message, &index| {
                inner_messages(&message, counts_maps).nth(index)
            });
            found.filter(|message| !message.is_map_entry())
        };
        find(self.is_descriptor).or_else(|| find(!self.is_descriptor))
    }

    /// The full name of the message to write.
    pub fn name(&self) -> Option<String> {
        Some(self.at(&self.chosen)?.full_name().to_owned())
    }

    /// Appends the JSON of a message.
    pub fn decode(
        &self,
        indexes: &[usize],
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        let message = self.descriptor(indexes)?;
        let message = DynamicMessage::decode(message, bytes);
        let message = message.map_err(|why| Mismatch::new(why.to_string()))?;
        let mut serializer = serde_json::Serializer::new(out);
        let written = message.serialize_with_options(&mut serializer, &SerializeOptions::new());
        written.map_err(|why| Mismatch::new(why.to_string()))
    }

    /// Appends the bytes of a message's JSON.
    pub fn encode(
        &self,
        indexes: &[usize],
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        json::check(text)?;
        let descriptor = self.descriptor(indexes)?;
        let name = descriptor.full_name().to_owned();
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let message = DynamicMessage::deserialize(descriptor, &mut deserializer);
        let message = message.map_err(|why| {
            // Everything is in one line.
            let text = why.to_string().replace(" line 1", "");
            Mismatch::new(format!("no {name}: {text}"))
        })?;
        message
            .encode(out)
            .map_err(|why| Mismatch::new(why.to_string()))
    }

    fn descriptor(&self, indexes: &[usize]) -> Result<MessageDescriptor, Mismatch> {
        let missing = || Mismatch::new(format!("the schema has no message {indexes:?}"));
        self.at(indexes).ok_or_else(missing)
    }
}

fn inner_messages(
    message: &MessageDescriptor,
    counts_maps: bool,
) -> impl Iterator<Item = MessageDescriptor> {
    let all = message.child_messages();
    all.filter(move |inner| counts_maps || !inner.is_map_entry())
}

/// Files in memory.
struct Files(Vec<(String, String)>);

impl FileResolver for Files {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        path.to_str().map(str::to_owned)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let Some((name, text)) = self.0.iter().find(|(known, _)| known == name) else {
            return Err(protox::Error::file_not_found(name));
        };
        match parsed(name, text) {
            Some(parsed) => Ok(File::from_file_descriptor_proto(parsed)),
            None => File::from_source(name, text),
        }
    }
}

/// Python's client registers the base64 of a parsed file, which some registries return as it is.
fn parsed(name: &str, text: &str) -> Option<FileDescriptorProto> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    let mut file = FileDescriptorProto::decode(bytes.as_slice()).ok()?;
    file.name = Some(name.to_owned());
    Some(file)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"
        syntax = "proto3";
        package shop;
        import "google/protobuf/timestamp.proto";
        import "item.proto";
        message Other { string a = 1; message Inner { bool b = 1; } map<string, int32> m = 2; message Last {} }
        message Order {
            int64 id = 1;
            google.protobuf.Timestamp at = 2;
            repeated Item items = 3;
            oneof pay { string card = 4; uint32 coins = 5; }
            map<string, double> prices = 6;
            bytes sum = 7;
            enum Kind { A = 0; B = 1; }
            Kind kind = 8;
            optional string note = 9;
            Order parent = 10;
        }"#;
    const ITEM: &str = r#"syntax = "proto2"; package shop;
        message Item { required string name = 1; optional int32 count = 2 [default = 7]; }"#;

    fn messages() -> Messages {
        let item = ("item.proto".to_owned(), ITEM.to_owned());
        Messages::parse(TEXT, &[item]).expect("a file")
    }

    fn decoded(indexes: &[usize], bytes: &[u8]) -> Result<String, String> {
        let mut out = Vec::new();
        let decoded = messages().decode(indexes, bytes, &mut out);
        decoded.map_err(|wrong| wrong.to_string())?;
        Ok(String::from_utf8(out).expect("JSON is text"))
    }

    fn encoded(indexes: &[usize], text: &str) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let encoded = messages().encode(indexes, text.as_bytes(), &mut out);
        encoded.map_err(|wrong| wrong.to_string()).map(|()| out)
    }

    #[test]
    fn messages_are_canonical_json_both_ways() {
        let text = r#"{"id":"9007199254740993","at":"2024-01-02T03:04:05.006Z","items":[{"name":"x"},{"name":"y","count":0}],"coins":3,"prices":{"a":0.5},"sum":"AP8=","kind":"B","note":"","parent":{"id":"1"}}"#;
        let bytes = encoded(&[1], text).expect("a message");
        assert_eq!(decoded(&[1], &bytes).as_deref(), Ok(text));
        assert_eq!(
            encoded(&[1], "{\"id\":5,\"kind\":1}"),
            Ok(vec![8, 5, 64, 1])
        );
        let wrong = encoded(&[1], "{\"no\":5}").expect_err("an unknown field");
        assert!(wrong.starts_with("no shop.Order: "), "{wrong}");
    }

    #[test]
    fn messages_are_found_by_their_path() {
        assert_eq!(decoded(&[0, 0], &[8, 1]).as_deref(), Ok("{\"b\":true}"));
        assert_eq!(decoded(&[0, 1], &[]).as_deref(), Ok("{}"));
        let other = messages().file.messages().next().expect("Other");
        let last = other
            .child_messages()
            .position(|inner| inner.name() == "Last");
        assert_eq!(decoded(&[0, last.expect("Last")], &[]).as_deref(), Ok("{}"));
        assert!(decoded(&[0, 3], &[]).is_err());
        assert!(decoded(&[2], &[]).is_err_and(|why| why.contains("no message [2]")));
        assert!(decoded(&[1], &[255]).is_err());
        let mut messages = messages();
        assert_eq!(messages.name().as_deref(), Some("shop.Other"));
        for name in ["shop.Other.Last", "Other.Last"] {
            assert_eq!(messages.choose(name), Ok(()));
            assert_eq!(messages.chosen(), [0, 1]);
            assert_eq!(messages.name().as_deref(), Some("shop.Other.Last"));
        }
        for wrong in ["Last", "shop", "", "shop.", "Other.MEntry"] {
            let error = messages.choose(wrong).expect_err(wrong);
            assert!(error.ends_with("(it has Other, Order)"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_none_is_refused() {
        for wrong in [
            "message {",
            "import \"none.proto\";",
            "message A { B b = 1; }",
            "import \"schema.proto\";",
        ] {
            assert!(Messages::parse(wrong, &[]).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_and_no_text_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..30), text in "\\PC{0,20}") {
            drop(decoded(&[1], &bytes));
            drop(encoded(&[1], &text));
        }
    }
}

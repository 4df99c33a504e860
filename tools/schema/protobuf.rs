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
        Ok(Messages { file })
    }

    /// The message at a path: its number among those of its level, from the outside.
    fn at(&self, indexes: &[usize]) -> Option<MessageDescriptor> {
        let (&first, rest) = indexes.split_first()?;
        let outer = self.file.messages().nth(first)?;
        rest.iter().try_fold(outer, |message, &index| {
            // As Java counts, which knows no messages but those of the text; a map field has one of its own.
            let mut inner = message
                .child_messages()
                .filter(|inner| !inner.is_map_entry());
            inner.nth(index)
        })
    }

    /// The full name of the first message.
    pub fn name(&self) -> Option<String> {
        let first = self.file.messages().next()?;
        Some(first.full_name().to_owned())
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
        assert!(decoded(&[2], &[]).is_err_and(|why| why.contains("no message [2]")));
        assert!(decoded(&[1], &[255]).is_err());
        assert_eq!(messages().name().as_deref(), Some("shop.Other"));
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

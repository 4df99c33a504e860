//! `-s`: binary keys and values unpacked into text, as kcat does.

/// What is unpacked.
#[derive(Clone, Debug, Default)]
pub struct Unpack {}

impl Unpack {
    /// Parses the values of `-s`.
    pub fn parse(_values: &[String]) -> Result<Unpack, String> {
        Ok(Unpack {})
    }
}

//! Requests that kafka-protocol does not have yet: written out by hand, and sent as its own are.
//!
//! Such a request has `write(&self, buf)`, its response `read(bytes, version) -> Option<Self>`; both are of
//! flexible versions only (KIP-482).

use bytes::BufMut;

/// Makes a [`kafka_protocol::protocol::Request`] of a request and its response.
macro_rules! handmade {
    ($request:ty, $response:ty, key: $key:expr, versions: $min:literal..=$max:literal) => {
        handmade!(@message $request, $min, $max, header: 2);
        handmade!(@message $response, $min, $max, header: 1);

        impl kafka_protocol::protocol::Request for $request {
            const KEY: i16 = $key;
            type Response = $response;
        }

        impl kafka_protocol::protocol::Encodable for $request {
            fn encode<B: kafka_protocol::protocol::buf::ByteBufMut>(
                &self,
                buf: &mut B,
                _version: i16,
            ) -> anyhow::Result<()> {
                self.write(buf);
                Ok(())
            }

            fn compute_size(&self, _version: i16) -> anyhow::Result<usize> {
                let mut bytes = bytes::BytesMut::new();
                self.write(&mut bytes);
                Ok(bytes.len())
            }
        }

        impl kafka_protocol::protocol::Decodable for $request {
            fn decode<B: kafka_protocol::protocol::buf::ByteBuf>(
                _buf: &mut B,
                _version: i16,
            ) -> anyhow::Result<Self> {
                anyhow::bail!("a client is not asked this")
            }
        }

        impl kafka_protocol::protocol::Encodable for $response {
            fn encode<B: kafka_protocol::protocol::buf::ByteBufMut>(
                &self,
                _buf: &mut B,
                _version: i16,
            ) -> anyhow::Result<()> {
                anyhow::bail!("a client does not answer this")
            }

            fn compute_size(&self, _version: i16) -> anyhow::Result<usize> {
                anyhow::bail!("a client does not answer this")
            }
        }

        impl kafka_protocol::protocol::Decodable for $response {
            fn decode<B: kafka_protocol::protocol::buf::ByteBuf>(
                buf: &mut B,
                version: i16,
            ) -> anyhow::Result<Self> {
                let bytes = buf.try_get_bytes(buf.remaining())?;
                anyhow::Context::context(<$response>::read(&bytes, version), "it is malformed")
            }
        }
    };
    (@message $message:ty, $min:literal, $max:literal, header: $header:literal) => {
        impl kafka_protocol::protocol::Message for $message {
            const VERSIONS: kafka_protocol::protocol::VersionRange =
                kafka_protocol::protocol::VersionRange { min: $min, max: $max };
            const DEPRECATED_VERSIONS: Option<kafka_protocol::protocol::VersionRange> = None;
        }

        impl kafka_protocol::protocol::HeaderVersion for $message {
            fn header_version(_version: i16) -> i16 {
                $header
            }
        }
    };
}
pub(in crate::kafka) use handmade;

/// A number of at most 32 bits, seven to a byte.
pub(in crate::kafka) fn put_varint(buf: &mut impl BufMut, mut number: u32) {
    while number >= 0x80 {
        buf.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    buf.put_u8(number as u8);
}

/// A text behind its length.
pub(in crate::kafka) fn put_text(buf: &mut impl BufMut, text: &str) {
    put_varint(buf, text.len() as u32 + 1);
    buf.put_slice(text.as_bytes());
}

//! Text as bytes: escapes, hexadecimal digits, and what a terminal must not receive. Pure.

mod control;
mod escape;
mod hex;
pub mod json;
mod terminal;

pub use control::{is_control, visible};
pub use escape::{
    decode_escapes, escape_tsv, parse_hex_escape, parse_number, unescape_delimiter, unescaped_len,
};
pub use hex::{LOWER, UPPER, hex_byte, hex_digits};
pub use terminal::{TerminalEscape, escape_for_terminal, escape_tail_for_terminal};

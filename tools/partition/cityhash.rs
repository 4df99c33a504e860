//! `CityHash64` of the release 1.0.2, which `ClickHouse` keeps (`contrib/cityhash102/src/city.cc`).
//!
//! Later releases changed the function, and the crates are of those; the one crate of
//! 1.0.2, naive-cityhash 0.2, panics where its additions are checked (keys of 33 to 64 bytes).

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;
const K3: u64 = 0xc949_d7c7_509e_6557;

/// The hash of bytes, without a seed.
pub(super) fn hash(key: &[u8]) -> u64 {
    match key.len() {
        0..=16 => hash_0_to_16(key),
        17..=32 => hash_17_to_32(key),
        33..=64 => hash_33_to_64(key),
        _ => hash_longer(key),
    }
}

/// Eight bytes, little-endian.
fn word(key: &[u8], at: usize) -> u64 {
    let bytes = key[at..at + 8].try_into();
    u64::from_le_bytes(bytes.expect("the slice has eight bytes"))
}

/// Four bytes, little-endian.
fn half_word(key: &[u8], at: usize) -> u64 {
    let bytes = key[at..at + 4].try_into();
    u64::from(u32::from_le_bytes(bytes.expect("the slice has four bytes")))
}

fn shift_mix(value: u64) -> u64 {
    value ^ (value >> 47)
}

/// `Hash128to64`, also called `HashLen16`.
fn hash_128(low: u64, high: u64) -> u64 {
    const MULTIPLIER: u64 = 0x9ddf_ea08_eb38_2d69;
    let a = shift_mix((low ^ high).wrapping_mul(MULTIPLIER));
    shift_mix((high ^ a).wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER)
}

fn hash_0_to_16(key: &[u8]) -> u64 {
    let length = key.len();
    match length {
        9.. => {
            let (first, last) = (word(key, 0), word(key, length - 8));
            let turned = last.wrapping_add(length as u64).rotate_right(length as u32);
            hash_128(first, turned) ^ last
        }
        4..=8 => hash_128(
            (half_word(key, 0) << 3) + length as u64,
            half_word(key, length - 4),
        ),
        1..=3 => {
            let byte = |at: usize| u64::from(key[at]);
            let y = byte(0) + (byte(length / 2) << 8);
            let z = length as u64 + (byte(length - 1) << 2);
            shift_mix(y.wrapping_mul(K2) ^ z.wrapping_mul(K3)).wrapping_mul(K2)
        }
        0 => K2,
    }
}

fn hash_17_to_32(key: &[u8]) -> u64 {
    let length = key.len();
    let a = word(key, 0).wrapping_mul(K1);
    let b = word(key, 8);
    let c = word(key, length - 8).wrapping_mul(K2);
    let d = word(key, length - 16).wrapping_mul(K0);
    let low = a.wrapping_sub(b).rotate_right(43);
    let high = a.wrapping_add((b ^ K3).rotate_right(20));
    hash_128(
        low.wrapping_add(c.rotate_right(30)).wrapping_add(d),
        high.wrapping_sub(c).wrapping_add(length as u64),
    )
}

fn hash_33_to_64(key: &[u8]) -> u64 {
    let length = key.len();
    let start = (length as u64).wrapping_add(word(key, length - 16));
    let a = word(key, 0).wrapping_add(start.wrapping_mul(K0));
    let (v, v_turned) = hash_half(a, word(key, 8), word(key, 16), word(key, 24));
    let a = word(key, 16).wrapping_add(word(key, length - 32));
    let (w, w_turned) = hash_half(
        a,
        word(key, length - 24),
        word(key, length - 16),
        word(key, length - 8),
    );
    let left = v.wrapping_add(w_turned).wrapping_mul(K2);
    let right = w.wrapping_add(v_turned).wrapping_mul(K0);
    let both = shift_mix(left.wrapping_add(right)).wrapping_mul(K0);
    shift_mix(both.wrapping_add(v_turned)).wrapping_mul(K2)
}

/// One of the two halves of `HashLen33to64`, which differ only in the words they take.
fn hash_half(mut a: u64, second: u64, third: u64, last: u64) -> (u64, u64) {
    let b = a.wrapping_add(last).rotate_right(52);
    let mut c = a.rotate_right(37);
    a = a.wrapping_add(second);
    c = c.wrapping_add(a.rotate_right(7));
    a = a.wrapping_add(third);
    let turned = b.wrapping_add(a.rotate_right(31)).wrapping_add(c);
    (a.wrapping_add(last), turned)
}

/// `WeakHashLen32WithSeeds` of the 32 bytes at a place.
fn weak_hash_32(key: &[u8], at: usize, a: u64, b: u64) -> (u64, u64) {
    let last = word(key, at + 24);
    let a = a.wrapping_add(word(key, at));
    let b = b.wrapping_add(a).wrapping_add(last).rotate_right(21);
    let sum = a
        .wrapping_add(word(key, at + 8))
        .wrapping_add(word(key, at + 16));
    let turned = b.wrapping_add(sum.rotate_right(44));
    (sum.wrapping_add(last), turned.wrapping_add(a))
}

// The names are those of the original, so that the two can be read side by side.
#[allow(clippy::many_single_char_names)]
fn hash_longer(key: &[u8]) -> u64 {
    let length = key.len();
    let size = length as u64;
    let mut x = word(key, 0);
    let mut y = word(key, length - 16) ^ K1;
    let mut z = word(key, length - 56) ^ K0;
    let mut v = weak_hash_32(key, length - 64, size, y);
    let mut w = weak_hash_32(key, length - 32, size.wrapping_mul(K1), K0);
    z = z.wrapping_add(shift_mix(v.1).wrapping_mul(K1));
    x = z.wrapping_add(x).rotate_right(39).wrapping_mul(K1);
    y = y.rotate_right(33).wrapping_mul(K1);
    // Whole blocks of 64 bytes; of a last full block the words above have already taken note.
    for at in (0..(length - 1) & !63).step_by(64) {
        x = x
            .wrapping_add(y)
            .wrapping_add(v.0)
            .wrapping_add(word(key, at + 16));
        x = x.rotate_right(37).wrapping_mul(K1) ^ w.1;
        y = y.wrapping_add(v.1).wrapping_add(word(key, at + 48));
        y = y.rotate_right(42).wrapping_mul(K1) ^ v.0;
        z = (z ^ w.0).rotate_right(33);
        v = weak_hash_32(key, at, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        w = weak_hash_32(key, at + 32, z.wrapping_add(w.1), y);
        (z, x) = (x, z);
    }
    let mixed = shift_mix(y).wrapping_mul(K1);
    hash_128(
        hash_128(v.0, w.0).wrapping_add(mixed).wrapping_add(z),
        hash_128(v.1, w.1).wrapping_add(x),
    )
}

//! Numbers of 32 bits as bytes: on the wire and in stores, little-endian, four bytes each.

/// The bytes of some numbers.
pub fn to_bytes(values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; size_of_val(values)];
    for (four, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
        *four = value.to_le_bytes();
    }
    bytes
}

/// The numbers of some bytes; none unless there are four of each.
pub fn from_bytes(bytes: &[u8]) -> Option<Vec<f32>> {
    let (fours, rest) = bytes.as_chunks::<4>();
    let numbers = fours.iter().map(|four| f32::from_le_bytes(*four));
    rest.is_empty().then(|| numbers.collect())
}

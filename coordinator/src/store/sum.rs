//! Checksums of rows: CRC-32 over the table's name, the key and the columns.
//!
//! A row whose checksum is wrong counts as absent. What is absent is missed by other rows: an accepted trial's row says how
//! many epochs it has, a sweep's last change how many trials, choices and extensions, and the counters how many sweeps.

/// A checksum on its way through the columns of a row.
pub(super) struct Sum {
    hasher: crc32fast::Hasher,
    /// Short columns, which are cheaper to hash together.
    short: Vec<u8>,
    /// Bytes of long ones.
    taken: usize,
}

/// Columns up to this length are collected before they are hashed.
const SHORT: usize = 64;

impl Sum {
    /// Begins with the table's name and the number of the sweep that the row belongs to; 0 where there is none.
    pub(super) fn of(table: &str, sweep: i64) -> Self {
        let sum = Self {
            hasher: crc32fast::Hasher::new(),
            short: Vec::with_capacity(192),
            taken: 0,
        };
        sum.text(table).integer(sweep)
    }

    /// Takes in a number.
    pub(super) fn integer(mut self, value: i64) -> Self {
        self.short.push(1);
        self.short.extend(value.to_le_bytes());
        self
    }

    /// Takes in a number or NULL.
    pub(super) fn integer_or_null(self, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.integer(value),
            None => self.null(),
        }
    }

    /// Takes in NULL.
    pub(super) fn null(mut self) -> Self {
        self.short.push(0);
        self
    }

    /// Takes in a text.
    pub(super) fn text(self, value: &str) -> Self {
        self.long(2, value.as_bytes())
    }

    /// Takes in a text or NULL.
    pub(super) fn text_or_null(self, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// Takes in bytes.
    pub(super) fn bytes(self, value: &[u8]) -> Self {
        self.long(3, value)
    }

    /// Takes in bytes or NULL.
    pub(super) fn bytes_or_null(self, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.bytes(value),
            None => self.null(),
        }
    }

    /// Takes in a value of a type that no column is declared with.
    pub(super) fn odd(mut self) -> Self {
        self.short.push(4);
        self
    }

    fn long(mut self, kind: u8, value: &[u8]) -> Self {
        self.short.push(kind);
        self.short.extend((value.len() as u64).to_le_bytes());
        if value.len() <= SHORT {
            self.short.extend(value);
        } else {
            self.hasher.update(&self.short);
            self.short.clear();
            self.hasher.update(value);
            self.taken += value.len();
        }
        self
    }

    /// Returns about how many bytes it has taken in.
    pub(super) fn bytes_taken(&self) -> usize {
        self.taken + self.short.len()
    }

    /// Returns the checksum as a column holds it: a signed number of 32 bits, which takes four bytes.
    pub(super) fn end(mut self) -> i64 {
        self.hasher.update(&self.short);
        i64::from(self.hasher.finalize().cast_signed())
    }
}

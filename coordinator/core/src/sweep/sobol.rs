//! Sobol's sequence: points that fill a cube more evenly than random ones do.
//!
//! The direction numbers are those of Joe and Kuo (Constructing Sobol sequences with better two-dimensional projections,
//! SIAM J. Sci. Comput. 30, 2008; the file `new-joe-kuo-6.21201`), and the order is that of Gray's code (Antonov and Saleev,
//! 1979), as in SciPy.

// The numbers of this table come with this licence.
//
// Copyright (c) 2008, Frances Y. Kuo and Stephen Joe
// All rights reserved.
//
// Redistribution and use in source and binary forms, with or without
// modification, are permitted provided that the following conditions are
// met:
//
//   * Redistributions of source code must retain the above copyright
//     notice, this list of conditions and the following disclaimer.
//
//   * Redistributions in binary form must reproduce the above copyright
//     notice, this list of conditions and the following disclaimer in the
//     documentation and/or other materials provided with the
//     distribution.
//
//   * Neither the names of the copyright holders nor the names of the
//     University of New South Wales and the University of Waikato
//     and its contributors may be used to endorse or promote products
//     derived from this software without specific prior written
//     permission.
//
// THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS ``AS IS'' AND ANY
// EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE
// IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR
// PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDERS BE
// LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR
// CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF
// SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR
// BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY,
// WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE
// OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN
// IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.

/// Of each dimension after the first, the inner coefficients of its primitive polynomial, as bits, and the first direction
/// numbers, as many as the polynomial's degree.
const DIRECTIONS: [(u32, &[u32]); 15] = [
    (0, &[1]),
    (1, &[1, 3]),
    (1, &[1, 3, 1]),
    (2, &[1, 1, 1]),
    (1, &[1, 1, 3, 3]),
    (4, &[1, 3, 5, 13]),
    (2, &[1, 1, 5, 5, 17]),
    (4, &[1, 1, 5, 5, 5]),
    (7, &[1, 1, 7, 11, 19]),
    (11, &[1, 1, 5, 1, 1]),
    (13, &[1, 1, 1, 3, 11]),
    (14, &[1, 3, 5, 5, 31]),
    (1, &[1, 3, 3, 9, 7, 49]),
    (13, &[1, 1, 1, 15, 21, 21]),
    (16, &[1, 3, 1, 13, 27, 49]),
];

/// The most dimensions.
pub(super) const MAX_DIMENSIONS: usize = DIRECTIONS.len() + 1;

/// One dimension of the sequence.
#[derive(Debug, Clone)]
pub(super) struct Sobol {
    directions: [u32; 32],
}

impl Sobol {
    /// A dimension, from 0; none beyond [`MAX_DIMENSIONS`].
    pub(super) fn new(dimension: usize) -> Option<Self> {
        let mut directions = std::array::from_fn(|bit| 1 << (31 - bit));
        if let Some(row) = dimension.checked_sub(1) {
            let (coefficients, first) = DIRECTIONS.get(row)?;
            let degree = first.len();
            for bit in 0..32 {
                directions[bit] = match first.get(bit) {
                    Some(number) => number << (31 - bit),
                    None => {
                        let last = directions[bit - degree];
                        let inner = (1..degree).filter(|k| coefficients >> (degree - 1 - k) & 1 == 1);
                        inner.fold(last ^ last >> degree, |all, k| all ^ directions[bit - k])
                    }
                };
            }
        }
        Some(Self { directions })
    }

    /// The coordinate of a point, in units of 2⁻³².
    pub(super) fn at(&self, point: u32) -> u32 {
        let gray = point ^ point >> 1;
        let bits = (0..32).filter(|bit| gray >> bit & 1 == 1);
        bits.fold(0, |all, bit: usize| all ^ self.directions[bit])
    }
}

#[cfg(test)]
mod tests {
    use tenfold_types::Setting;

    use super::super::axis::takes_a_range;
    use super::*;

    /// `tests/fixtures/sobol.py` says how the numbers came about.
    #[test]
    fn the_sequence_is_that_of_scipy() {
        let fixture: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/sobol.json")).unwrap();
        let points = fixture["points"].as_object().unwrap();
        assert!(points.len() > 90);
        let dimensions: Vec<Sobol> = (0..MAX_DIMENSIONS).filter_map(Sobol::new).collect();
        assert_eq!(dimensions.len(), MAX_DIMENSIONS);
        for (number, point) in points {
            let at = number.parse().unwrap();
            let ours: Vec<u32> = dimensions.iter().map(|dimension| dimension.at(at)).collect();
            let theirs: Vec<u32> = serde_json::from_value(point.clone()).unwrap();
            assert_eq!(ours, theirs, "point {number}");
        }
        assert!(Sobol::new(MAX_DIMENSIONS).is_none());
    }

    #[test]
    fn there_is_a_dimension_for_every_axis_that_can_be_sampled() {
        let axes = Setting::ALL.iter().filter(|&&setting| takes_a_range(setting));
        assert!(axes.count() <= MAX_DIMENSIONS);
    }
}

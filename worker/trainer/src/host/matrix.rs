//! Matrix products.

use super::real::Real;

/// A matrix within a slice, row-major or column-major.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Numbers from a row to the next, and from a column to the next.
    strides: (usize, usize),
}

impl Layout {
    /// Rows one behind the other, `stride` numbers from each to the next.
    pub(crate) fn rows(rows: usize, columns: usize, stride: usize) -> Self {
        assert!(
            stride >= columns,
            "rows of {columns} numbers overlap at a stride of {stride}"
        );
        Self {
            rows,
            columns,
            strides: (stride, 1),
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            strides: (self.strides.1, self.strides.0),
        }
    }

    /// How many numbers the slice must have.
    fn needs(&self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            return 0;
        }
        (self.rows - 1) * self.strides.0 + (self.columns - 1) * self.strides.1 + 1
    }
}

/// `c = a b`, or `c = c + a b` to accumulate.
pub(crate) fn multiply<T: Real>(
    accumulate: bool,
    (c, of_c): (&mut [T], Layout),
    (a, of_a): (&[T], Layout),
    (b, of_b): (&[T], Layout),
) {
    let (m, n, k) = (of_c.rows, of_c.columns, of_a.columns);
    assert!(
        of_a.rows == m && of_b.columns == n && of_b.rows == k,
        "cannot multiply {m} x {n} = {} x {k} times {} x {}",
        of_a.rows,
        of_b.rows,
        of_b.columns
    );
    assert!(c.len() >= of_c.needs() && a.len() >= of_a.needs() && b.len() >= of_b.needs());
    let strides = |layout: Layout| (layout.strides.1 as isize, layout.strides.0 as isize);
    let ((c_column, c_row), (a_column, a_row), (b_column, b_row)) =
        (strides(of_c), strides(of_a), strides(of_b));
    #[expect(unsafe_code, reason = "the library takes pointers")]
    // SAFETY: the slices are as long as their layouts need, as asserted; `c` is borrowed alone and its elements do not
    // overlap, since a layout's stride is at least its row.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            c_column,
            c_row,
            accumulate,
            a.as_ptr(),
            a_column,
            a_row,
            b.as_ptr(),
            b_column,
            b_row,
            T::one(),
            T::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_sums_of_products() {
        let a: Vec<f64> = (0..20).map(f64::from).collect();
        let b: Vec<f64> = (0..20).map(|x| f64::from(x * x)).collect();
        let mut c = vec![1.0; 20];
        // 3 × 4 and 4 × 2, in rows of 5 numbers.
        let (of_a, of_b, of_c) = (
            Layout::rows(3, 4, 5),
            Layout::rows(4, 2, 5),
            Layout::rows(3, 2, 5),
        );
        let at =
            |row: usize, column: usize| -> f64 { (0..4).map(|k| a[row * 5 + k] * b[k * 5 + column]).sum() };
        multiply(true, (&mut c, of_c), (&a, of_a), (&b, of_b));
        assert_eq!([c[0], c[1], c[2]], [1.0 + at(0, 0), 1.0 + at(0, 1), 1.0]);
        multiply(
            false,
            (&mut c, of_c.transposed()),
            (&b, of_b.transposed()),
            (&a, of_a.transposed()),
        );
        assert_eq!([c[5], c[6], c[7]], [at(1, 0), at(1, 1), 1.0]);
    }
}

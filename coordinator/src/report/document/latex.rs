//! Tables as LaTeX, in the style of the package `booktabs`.

use std::fmt::Write;

use tenfold_types::printable;

use super::Table;

/// A `table` environment, to be taken in with `\input`. Rows that stand out are bold.
pub(super) fn table(table: &Table) -> String {
    let columns: String = table
        .columns
        .iter()
        .map(|column| if column.number { 'r' } else { 'l' })
        .collect();
    let mut text = format!(
        "% Needs \\usepackage{{booktabs}}.\n\\begin{{table}}\n  \\centering\n  \\caption{{{}}}\n  \\label{{tab:{}}}\n  \
         \\begin{{tabular}}{{{columns}}}\n    \\toprule\n",
        escape(&table.caption),
        table.name
    );
    let titles: Vec<String> = table.columns.iter().map(|column| escape(&column.title)).collect();
    row(&titles, &mut text);
    text += "    \\midrule\n";
    for (at, cells) in table.rows.iter().enumerate() {
        let cell = |(column, cell): (usize, &String)| match escape(cell) {
            text if table.strong.contains(&(at, column)) && !text.is_empty() => format!("\\textbf{{{text}}}"),
            text => text,
        };
        row(&cells.iter().enumerate().map(cell).collect::<Vec<_>>(), &mut text);
    }
    text += "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n";
    text
}

fn row(cells: &[String], text: &mut String) {
    // What stands in brackets, or is a star, behind the end of a row would belong to that end.
    let guard = if cells.first().is_some_and(|cell| cell.starts_with(['[', '*'])) {
        "{}"
    } else {
        ""
    };
    _ = writeln!(text, "    {guard}{} \\\\", cells.join(" & "));
}

/// Text as LaTeX has it, on one line.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable::lines(text).chars() {
        match c {
            '\\' => escaped += "\\textbackslash{}",
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '~' => escaped += "\\textasciitilde{}",
            '^' => escaped += "\\textasciicircum{}",
            '<' => escaped += "\\textless{}",
            '>' => escaped += "\\textgreater{}",
            '|' => escaped += "\\textbar{}",
            '"' => escaped += "''",
            '\u{a0}' => escaped.push('~'),
            '±' => escaped += "$\\pm$",
            '−' => escaped += "$-$",
            '×' => escaped += "$\\times$",
            '·' => escaped += "$\\cdot$",
            '≤' => escaped += "$\\leq$",
            '≥' => escaped += "$\\geq$",
            '√' => escaped += "$\\surd$",
            '“' => escaped += "``",
            '”' => escaped += "''",
            'Γ' => escaped += "$\\Gamma$",
            '–' => escaped += "--",
            '†' => escaped += "$\\dagger$",
            '\n' | '\t' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::Column;
    use super::*;

    #[test]
    fn a_table_is_one_of_booktabs() {
        let mut of = Table::plain(
            "a-b",
            "50 % of_it",
            vec![Column::words("name"), Column::number("n & m")],
            vec![
                vec!["[x]".to_owned(), "1.0 ± 2†".to_owned()],
                vec!["\\y{}".to_owned(), "−3".to_owned()],
            ],
        );
        of.strong = vec![(1, 0)];
        assert_eq!(
            table(&of),
            r"% Needs \usepackage{booktabs}.
\begin{table}
  \centering
  \caption{50 \% of\_it}
  \label{tab:a-b}
  \begin{tabular}{lr}
    \toprule
    name & n \& m \\
    \midrule
    {}[x] & 1.0 $\pm$ 2$\dagger$ \\
    \textbf{\textbackslash{}y\{\}} & $-$3 \\
    \bottomrule
  \end{tabular}
\end{table}
"
        );
    }
}

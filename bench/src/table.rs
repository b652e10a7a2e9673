//! Results: a table for people, and a JSON line for each row.

use serde::Serialize;

pub struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<f64>)>,
}

#[derive(Serialize)]
struct Line<'a> {
    bench: &'a str,
    peer: &'a str,
    column: &'a str,
    value: f64,
}

impl Table {
    pub fn new(title: &str, columns: Vec<String>) -> Self {
        Self {
            title: title.to_owned(),
            columns,
            rows: Vec::new(),
        }
    }

    pub fn row(&mut self, peer: &str, values: Vec<f64>) {
        self.rows.push((peer.to_owned(), values));
    }

    pub fn print(&self) {
        println!("\n{}\n", self.title);
        println!("| peer | {} |", self.columns.join(" | "));
        println!("|---|{}", "---|".repeat(self.columns.len()));
        for (peer, values) in &self.rows {
            let cells: Vec<_> = values.iter().map(|value| shown(*value)).collect();
            println!("| {peer} | {} |", cells.join(" | "));
        }
        println!();
        for (peer, values) in &self.rows {
            for (column, &value) in self.columns.iter().zip(values) {
                let line = Line {
                    bench: &self.title,
                    peer,
                    column,
                    value,
                };
                println!(
                    "{}",
                    serde_json::to_string(&line).expect("names and numbers")
                );
            }
        }
    }
}

fn shown(value: f64) -> String {
    match value {
        v if v.is_nan() => "-".to_owned(),
        v if v >= 1e6 => format!("{:.2}M", v / 1e6),
        v if v >= 1e4 => format!("{:.0}k", v / 1e3),
        v => format!("{v:.1}"),
    }
}

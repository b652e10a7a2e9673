//! Items a second: every peer, producers 1 and 2, consumers 1, 3 and 8, one by one and in batches
//! of 128.

use clap::Args;

use crate::peers::{self, Work};
use crate::race::median;
use crate::table::Table;

#[derive(Args)]
pub struct Arguments {
    /// Items that each run moves to every consumer.
    #[arg(long, default_value_t = 500_000)]
    items: u64,
    /// Runs; each figure is their median.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Names of the peers; all if there are none.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Batch size; all sizes if there is none.
    #[arg(long)]
    batch: Option<usize>,
}

pub fn run(arguments: &Arguments) {
    for (keys, what) in [
        (None, "every key new"),
        (Some(10_000), "Zipf 0.99 over 10,000 keys"),
    ] {
        for batch in [1, 128]
            .into_iter()
            .filter(|batch| arguments.batch.is_none_or(|only| only == *batch))
        {
            table(arguments, keys, what, batch);
        }
    }
}

fn table(arguments: &Arguments, keys: Option<usize>, what: &str, batch: usize) {
    let shapes = [(1, 1), (1, 3), (1, 8), (2, 1), (2, 3), (2, 8)];
    let columns = shapes
        .iter()
        .map(|(producers, consumers)| format!("P{producers} C{consumers}"))
        .collect();
    let title = format!(
        "items/s, {what}, batch {batch}, median of {}",
        arguments.runs
    );
    let mut table = Table::new(&title, columns);
    let wanted =
        |name: &&str| arguments.peers.is_empty() || arguments.peers.iter().any(|peer| peer == name);
    for (name, run) in peers::ALL.into_iter().filter(|(name, _)| wanted(name)) {
        let values = shapes.iter().map(|&(producers, consumers)| {
            let work = Work {
                producers,
                consumers,
                batch,
                items: arguments.items,
                keys,
            };
            let times = (0..arguments.runs).map(|_| run(&work)).collect();
            work.items as f64 / median(times).as_secs_f64()
        });
        table.row(name, values.collect());
        eprintln!("{title}: {name}");
    }
    table.print();
}

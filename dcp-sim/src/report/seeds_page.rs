//! HTML page of many seeds: the verdict on each, its drawn shape, and its figures.
//!
//! Like the page of a single run it needs no network, and names of sources and violations are
//! escaped. Every broken seed is on the page, and the clean ones up to a number that the page
//! states.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::seeds::{SeedResult, figures};
use super::units;

const STYLE: &str = include_str!("assets/report.css");

/// Number of clean seeds on a page; more would make it slow to open without adding information.
const CLEAN_MAX: u64 = 5_000;

/// Page that grows seed by seed.
#[derive(Clone, Debug, Default)]
pub struct SeedsPage {
    broken: Vec<Markup>,
    clean: Vec<Markup>,
    clean_total: u64,
}

impl SeedsPage {
    /// Adds the result of a seed.
    pub fn add(&mut self, result: &SeedResult<'_>) {
        let drew = result.shape.map_or(String::new(), |shape| shape.describe());
        let shown = result.report.map_or(String::new(), figures);
        if let Some(why) = result.why {
            self.broken.push(html! {
                tr.broken {
                    td.number { (result.seed) }
                    td {
                        (why)
                        pre.command { code { (result.command) } }
                    }
                    td { (drew) }
                    td { (shown) }
                }
            });
            return;
        }
        self.clean_total += 1;
        if self.clean_total <= CLEAN_MAX {
            self.clean.push(html! {
                tr { td.number { (result.seed) } td { "clean" } td { (drew) } td { (shown) } }
            });
        }
    }

    /// Returns the page. `command` repeats the whole run, and `summary` describes its result.
    #[must_use]
    pub fn page(&self, command: &str, summary: &str) -> String {
        let word = if self.broken.is_empty() {
            "every seed is clean"
        } else {
            "violations found"
        };
        let omitted = self.clean_total.saturating_sub(CLEAN_MAX);
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { "dcp-sim: " (summary) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        h1 { "dcp-sim run" }
                        p.verdict.broken[!self.broken.is_empty()] { (word) }
                    }
                    p { (summary) }
                    pre.command { code { (command) } }
                    @if !self.broken.is_empty() {
                        h2 { "Broken" }
                        (table(&self.broken))
                    }
                    h2 { "Clean" }
                    @if omitted > 0 {
                        p.hint { "The first " (units::count(CLEAN_MAX)) " of " (units::count(self.clean_total)) "." }
                    }
                    (table(&self.clean))
                }
            }
        };
        markup.into_string()
    }
}

fn table(rows: &[Markup]) -> Markup {
    html! {
        table {
            thead { tr { th.number { "seed" } th { "verdict" } th { "drew" } th { "figures" } } }
            tbody { @for row in rows { (row) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result<'a>(seed: u64, why: Option<&'a str>) -> SeedResult<'a> {
        SeedResult {
            seed,
            report: None,
            shape: None,
            why,
            command: "dcp-sim run --seed 7",
        }
    }

    #[test]
    fn broken_seed_is_shown_with_its_command_and_escaped() {
        let mut page = SeedsPage::default();
        page.add(&result(7, Some("W3 (1): key <b>\"x\"")));
        page.add(&result(8, None));
        let text = page.page("dcp-sim run --seeds 2", "2 seeds, 1 broken");
        assert!(
            text.contains("key &lt;b&gt;") && text.contains("dcp-sim run --seed 7"),
            "{text}"
        );
        assert!(
            text.contains("violations found") && text.contains("<td>clean</td>"),
            "{text}"
        );
    }

    #[test]
    fn clean_seeds_beyond_the_limit_are_counted() {
        let mut page = SeedsPage::default();
        for seed in 0..CLEAN_MAX + 3 {
            page.add(&result(seed, None));
        }
        let text = page.page("", "");
        assert!(
            text.contains("The first 5,000 of 5,003."),
            "the page says what it leaves out"
        );
        assert!(text.contains("every seed is clean"));
    }
}

//! Results of a run: figures, verdicts, a timeline and a trace.

mod report;
mod timeline;
mod trace;
mod verdict;

pub use report::{ClientFigures, FaultFigures, Figures, NodeFigures, Report};
pub use timeline::{NodeSample, Sample, Span, Timeline};
pub use trace::{Trace, TraceEvent};
pub use verdict::InvariantVerdict;

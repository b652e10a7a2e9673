//! Random steps of a host against lists of what it asked for, one for each vBucket.

use proptest::prelude::*;

use super::*;

/// A step of a host. Numbers choose among what is running.
#[derive(Clone, Copy, Debug)]
enum Step {
    Push(EngineCall),
    Reopen,
    Begin,
    Done(usize),
    NeedsReset(usize),
    Failed(usize),
    Poisoned(usize),
    Resume,
    FlushBegins(Vbid),
    FlushEnds(Vbid),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let vb = || (0..3_u16).prop_map(Vbid);
    let call = prop_oneof![
        vb().prop_map(Create),
        vb().prop_map(Drop),
        (vb(), 0..3_u64).prop_map(|(vb, to)| Rollback(vb, Seqno(to))),
    ];
    let step = prop_oneof![
        5 => call.prop_map(Step::Push),
        1 => Just(Step::Reopen),
        6 => Just(Step::Begin),
        4 => (0..3_usize).prop_map(Step::Done),
        1 => (0..3_usize).prop_map(Step::NeedsReset),
        2 => (0..3_usize).prop_map(Step::Failed),
        1 => (0..3_usize).prop_map(Step::Poisoned),
        2 => Just(Step::Resume),
        2 => vb().prop_map(Step::FlushBegins),
        2 => vb().prop_map(Step::FlushEnds),
    ];
    proptest::collection::vec(step, 1..80)
}

/// A host of calls.
#[derive(Default)]
struct Host {
    calls: Calls,
    /// Calls that were asked for and are not done, by vBucket, in their order. A running one is the
    /// first.
    asked: BTreeMap<Vbid, VecDeque<EngineCall>>,
    running: Vec<EngineCall>,
    void: Vec<EngineCall>,
    flushing: BTreeSet<Vbid>,
    paused: Vec<EngineCall>,
    reopen_is_due: bool,
}

impl Host {
    fn push(&mut self, call: EngineCall) {
        let vb = call.vbucket().expect("of a vBucket");
        let asked = self.asked.entry(vb).or_default();
        if call == Drop(vb) {
            let mut running = self.running.iter().copied();
            let running = running.find(|running| running.vbucket() == Some(vb));
            let not_yet = running.filter(|running| !self.void.contains(running));
            self.void.extend(not_yet);
            asked.clear();
            self.paused.retain(|paused| paused.vbucket() != Some(vb));
        }
        asked.push_back(call);
        self.calls.push(call);
    }

    fn begin(&mut self) {
        let Some(call) = self.calls.begin() else {
            return;
        };
        assert!(!self.paused.contains(&call), "N7: {call:?} is paused");
        match call.vbucket() {
            None => {
                assert!(self.running.is_empty() && self.flushing.is_empty(), "N1");
                assert!(self.reopen_is_due);
            }
            Some(vb) => {
                assert!(!self.reopen_is_due, "N7: {call:?} passes the reopening");
                let is_of = |running: &EngineCall| running.vbucket() == call.vbucket();
                assert!(!self.running.iter().any(is_of), "N1: two calls of {vb}");
                assert!(!self.flushing.contains(&vb), "N1: {vb} is flushed");
                let first = self.asked.get(&vb).and_then(VecDeque::front);
                assert_eq!(first, Some(&call), "N7");
            }
        }
        self.running.push(call);
    }

    fn end(&mut self, place: usize, answer: impl FnOnce(EngineCall) -> EngineDone<()>) {
        if self.running.is_empty() {
            return;
        }
        let call = self.running.remove(place % self.running.len());
        let answer = answer(call);
        let needs_reset = matches!(answer.result, Ok(EngineAnswer::NeedsReset));
        let outcome = self.calls.finish(answer).expect("it is running");
        let asked = call.vbucket().and_then(|vb| self.asked.get_mut(&vb));
        if let Some(place) = self.void.iter().position(|void| *void == call) {
            self.void.remove(place);
            assert!(matches!(outcome, CallOutcome::Void), "{outcome:?}");
            return;
        }
        match outcome {
            CallOutcome::Void => panic!("{call:?} was not dropped"),
            CallOutcome::Done { .. } => match (asked, call.vbucket()) {
                (Some(asked), Some(vb)) => {
                    asked.pop_front();
                    if needs_reset {
                        asked.push_front(Reset(vb));
                    }
                }
                _ => self.reopen_is_due = false,
            },
            CallOutcome::Failed { next, .. } => match next {
                CallNext::Reopen => self.reopen_is_due = true,
                CallNext::After { .. } => self.paused.push(call),
            },
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Push(call) => self.push(call),
            Step::Reopen => {
                self.calls.reopen();
                self.reopen_is_due = true;
            }
            Step::Begin => self.begin(),
            Step::Done(place) => self.end(place, done),
            Step::NeedsReset(place) => self.end(place, |call| match call {
                Rollback(..) => EngineDone::new(call, Ok(EngineAnswer::NeedsReset)),
                _ => done(call),
            }),
            Step::Failed(place) => self.end(place, failed),
            Step::Poisoned(place) => self.end(place, poisoned),
            Step::Resume => {
                for call in std::mem::take(&mut self.paused) {
                    self.calls.resume(call);
                }
            }
            Step::FlushBegins(vb) => {
                if !self.calls.is_unsettled(vb) && !self.reopen_is_due {
                    self.calls.flush_began([vb]);
                    self.flushing.insert(vb);
                }
            }
            Step::FlushEnds(vb) => {
                self.calls.flush_ended([vb]);
                self.flushing.remove(&vb);
            }
        }
        self.check();
    }

    fn check(&self) {
        assert_eq!(self.calls.is_reopen_due(), self.reopen_is_due);
        assert_eq!(self.calls.running(), self.running.len());
        for vb in (0..3).map(Vbid) {
            let is_asked = self.asked.get(&vb).is_some_and(|asked| !asked.is_empty());
            assert_eq!(self.calls.is_unsettled(vb), is_asked, "N8: {vb}");
        }
    }
}

proptest! {
    /// Guards N1, N7 and N8, and that every call is executed in the end.
    #[test]
    fn calls_run_in_order_and_concurrently_with_those_of_others(steps in steps()) {
        let mut host = Host::default();
        for step in steps {
            host.run(step);
        }
        for vb in (0..3).map(Vbid) {
            host.run(Step::FlushEnds(vb));
        }
        host.run(Step::Resume);
        while !host.calls.is_empty() {
            let running = host.running.len();
            host.run(Step::Begin);
            prop_assert!(running + host.running.len() > 0, "something waits for ever");
            if host.running.len() == running {
                host.run(Step::Done(0));
            }
        }
    }
}

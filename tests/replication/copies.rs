//! Several copies of one vBucket, any of which may be promoted or followed, and a client that knows
//! only what the protocol gives it: branch, last seqno, last marker's range.
//!
//! Guards S28: at the end the client has the documents of its branch, for any followed copy, any
//! lost stream and any promotion.

use proptest::prelude::*;

mod client;
mod copy;

use client::Client;
use copy::Copy;

use lowtide_checkpoint::{State, VbUuid};

const COPIES: usize = 3;

/// Events of a run.
#[derive(Clone, Copy, Debug)]
enum Op {
    Set(u8),
    CloseCheckpoint,
    Flush(usize),
    Recover(usize),
    /// A copy follows another, unless that follows it.
    Follow(usize, usize),
    /// Messages of a copy's stream arrive.
    Deliver(usize, u8),
    Promote(usize),
    /// The client resumes, from any copy.
    Resume(usize),
    /// Messages of the client's stream arrive.
    Read(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let copy = || 0..COPIES;
    prop_oneof![
        10 => (0..4u8).prop_map(Op::Set),
        2 => Just(Op::CloseCheckpoint),
        4 => copy().prop_map(Op::Flush),
        3 => copy().prop_map(Op::Recover),
        3 => (copy(), copy()).prop_map(|(from, to)| Op::Follow(from, to)),
        12 => (copy(), 1..4u8).prop_map(|(copy, messages)| Op::Deliver(copy, messages)),
        1 => copy().prop_map(Op::Promote),
        2 => copy().prop_map(Op::Resume),
        9 => (1..4u8).prop_map(Op::Read),
    ]
}

/// The copies; the first is active at the start.
struct Cluster {
    copies: Vec<Copy>,
    active: usize,
    last_uuid: u64,
}

impl Cluster {
    fn new() -> Self {
        let state = |number| {
            if number == 0 {
                State::Active
            } else {
                State::Replica
            }
        };
        let copies = (0..COPIES)
            .map(|number| Copy::new(number, state(number)))
            .collect();
        let mut cluster = Self {
            copies,
            active: 0,
            last_uuid: 1,
        };
        (1..COPIES).for_each(|copy| cluster.follow(copy, 0));
        cluster
    }

    /// Returns two different copies; `None` if the numbers are equal.
    fn pair(&mut self, one: usize, other: usize) -> Option<(&mut Copy, &mut Copy)> {
        let [one, other] = self.copies.get_disjoint_mut([one, other]).ok()?;
        Some((one, other))
    }

    fn follow(&mut self, copy: usize, source: usize) {
        let mut at = Some(source);
        while let Some(above) = at {
            if above == copy {
                return;
            }
            at = self.copies[above].follows();
        }
        if copy != self.active
            && let Some((copy, from)) = self.pair(copy, source)
        {
            copy.follow(source, from);
        }
    }

    fn deliver(&mut self, copy: usize, messages: usize) {
        if let Some(source) = self.copies[copy].follows()
            && let Some((copy, from)) = self.pair(copy, source)
        {
            copy.deliver(from, messages);
        }
    }

    fn promote(&mut self, copy: usize) {
        if copy == self.active {
            return;
        }
        self.last_uuid += 1;
        self.copies[self.active].step_down();
        self.copies[copy].lead(VbUuid(self.last_uuid));
        self.active = copy;
    }

    /// Lets every copy follow the active until nothing is left to do.
    fn settle(&mut self) {
        for round in 0..1_000 {
            let mut is_idle = true;
            for copy in (0..COPIES)
                .filter(|&copy| copy != self.active)
                .collect::<Vec<_>>()
            {
                if self.copies[copy].follows() != Some(self.active) {
                    self.follow(copy, self.active);
                    is_idle = false;
                }
                let before = self.copies[copy].high();
                self.deliver(copy, usize::MAX);
                is_idle &= before == self.copies[copy].high()
                    && self.copies[copy].follows() == Some(self.active);
            }
            if is_idle && round > 1 {
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

fn run(ops: &[Op]) -> Result<(), TestCaseError> {
    let mut cluster = Cluster::new();
    let mut client = Client::new();
    for op in ops {
        match *op {
            Op::Set(key) => {
                let active = cluster.active;
                cluster.copies[active].write(key);
            }
            Op::CloseCheckpoint => cluster.copies[cluster.active].close_checkpoint(),
            Op::Flush(copy) => cluster.copies[copy].flush(),
            Op::Recover(copy) => cluster.copies[copy].recover(),
            Op::Follow(copy, source) => cluster.follow(copy, source),
            Op::Deliver(copy, messages) => cluster.deliver(copy, usize::from(messages)),
            Op::Promote(copy) => cluster.promote(copy),
            Op::Resume(copy) => client.resume(copy, &mut cluster.copies),
            Op::Read(messages) => client.read(&mut cluster.copies, usize::from(messages))?,
        }
    }
    cluster.settle();
    let active = cluster.active;
    client.settle(active, &mut cluster.copies)?;
    for copy in &cluster.copies {
        prop_assert_eq!(
            copy.documents(),
            cluster.copies[active].documents(),
            "a copy differs"
        );
    }
    prop_assert_eq!(
        client.documents(),
        cluster.copies[active].documents(),
        "the client differs"
    );
    Ok(())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(ProptestConfig::default().cases))]

    #[test]
    fn client_resumed_anywhere_has_the_documents_of_its_branch(ops in prop::collection::vec(op(), 1..120)) {
        run(&ops)?;
    }
}

/// Guards against a rig that let a stream continue when its copy moved to another branch (S29): the
/// client had the new branch's writes under the old one's name.
#[test]
fn client_of_a_copy_that_moves_to_another_branch_has_the_documents_of_its_branch() {
    let ops = [
        Op::Set(0),
        Op::Set(0),
        Op::Promote(2),
        Op::Set(1),
        Op::Set(0),
        Op::Resume(1),
        Op::Follow(1, 2),
        Op::Deliver(1, 3),
        Op::Read(3),
        Op::Promote(0),
    ];
    run(&ops).expect("equal documents");
}

/// Guards against a rig that let a stream continue when its copy had led and stepped down between two
/// reads (S29): the client had the new branch's writes under the old one's name.
#[test]
fn client_of_a_copy_that_led_between_two_reads_has_the_documents_of_its_branch() {
    let ops = [
        Op::Set(0),
        Op::Set(0),
        Op::CloseCheckpoint,
        Op::Set(0),
        Op::Set(0),
        Op::Resume(1),
        Op::Promote(1),
        Op::Set(0),
        Op::Set(1),
        Op::Promote(0),
        Op::Read(3),
        Op::Read(1),
    ];
    run(&ops).expect("equal documents");
}
